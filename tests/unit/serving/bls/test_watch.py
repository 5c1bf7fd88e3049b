"""The guardrails of one request: what they tell, and how much of it."""

import pytest
from guarding import FORBIDDEN, KEY, Heard, ToldEmbedding, policy, topic, under, words

from serving.bls.guard_verdicts import MOST, PendingVerdicts
from serving.bls.watch import Watch
from serving.contract.calls import Call, Chunk, SequenceState
from serving.contract.errors import ApprovalPending, BadGrant, Blocked
from serving.contract.grant import Grant, verify
from serving.contract.guardrails import Action, Check, CheckKind, GuardrailPolicy, Stage, Verdict


def watch_of(call: Call, heard: Heard, sent: list[Chunk]) -> Watch:
    grant = verify(call.grant, KEY, now=0) if call.grant else Grant("r-1", "m", "t", 0)
    return Watch(heard.guards(ToldEmbedding()), call, grant, sent.append)


def found(action: Action, number: int = 0) -> Verdict:
    return Verdict("words", Stage.INPUT, action, place=number)


def test_of_too_many_verdicts_the_first_of_the_strongest_are_told():
    pending = PendingVerdicts()
    for number in range(MOST):
        pending.add(found(Action.FLAG, number))
        pending.add(found(Action.REDACT, number))
    taken = pending.take()
    assert {verdict.action for verdict in taken} == {Action.REDACT}
    assert [verdict.place for verdict in taken] == list(range(MOST - 1))


def test_there_is_room_for_one_that_ends_the_request_whenever_it_comes():
    pending = PendingVerdicts()
    for number in range(3 * MOST):
        pending.add(found(Action.FLAG, number))
        pending.take()
    for _ in range(3):
        pending.add(found(Action.BLOCK))
    assert pending.take() == (found(Action.BLOCK),)
    assert pending.take() == ()


def test_who_is_not_to_know_hears_no_reason():
    call = under(policy(words(Action.BLOCK, FORBIDDEN), is_explained=False), Call(text=FORBIDDEN))
    with pytest.raises(Blocked) as refused:
        watch_of(call, Heard(), []).read(call)
    assert refused.value.message == "a guardrail blocks this request"


def test_without_a_grant_verdicts_are_counted_and_not_told():
    heard, sent = Heard(), []
    call = Call(text="AKIAIOSFODNN7EXAMPLE is the key")
    watch = watch_of(call, heard, sent)
    watch.read(call)
    watch._held = None
    watch.emit(Chunk(text="x"))
    assert [verdict.check for verdict in heard.verdicts] == ["secrets"]
    assert sent == [Chunk(text="x")]


def test_news_of_where_a_sequence_stands_are_never_held():
    sent: list[Chunk] = []
    call = under(policy(topic(Action.BLOCK, Stage.INPUT)), Call(text="p"))
    watch = watch_of(call, Heard(), sent)
    watch.read(call)
    watch.emit(Chunk(text="held"))
    watch.emit(Chunk(state=SequenceState.WAITING))
    assert sent == [Chunk(state=SequenceState.WAITING)]


def test_a_policy_that_the_grant_does_not_mean_is_refused():
    call = under(policy(), Call(text="p"))
    other = under(GuardrailPolicy("other"), Call(text="p"))
    assert call.grant is not None
    for text in (None, other.guardrails):
        changed = Call(text="p", grant=call.grant, guardrails=text)
        with pytest.raises(BadGrant):
            watch_of(changed, Heard(), [])


def test_a_call_that_needs_approval_has_it_or_is_refused():
    made = {"id": "c1", "type": "function", "function": {"name": "pay", "arguments": "{}"}}
    messages = (
        {"role": "user", "content": "pay"},
        {"role": "assistant", "content": "", "tool_calls": [made]},
        {"role": "tool", "tool_call_id": "c1", "content": "paid"},
    )
    asking = policy(Check(CheckKind.TOOL, Action.ASK, tools=("pay",)))
    call = under(asking, Call(messages=messages))
    with pytest.raises(ApprovalPending, match="'c1' of 'pay'"):
        watch_of(call, Heard(), []).read(call)

"""What policies say of calls of tools."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.contract.approvals import approval_of, can_be_approved, new_ask_id, pending_field
from serving.contract.guardrails import (
    Action,
    ArgumentRule,
    Check,
    CheckKind,
    GuardrailPolicy,
    Stage,
    Verdict,
    strongest,
)
from serving.contract.tool_runs import ToolRun
from serving.guardrails.tools.calls import ToolCall
from serving.guardrails.tools.guard import ToolGuard
from serving.guardrails.tools.run import Run

READ = ToolCall("read", '{"path": "/srv/a"}')
SEND = ToolCall("send", '{"to": "a@b.c"}')
INSIDE = ArgumentRule("path", inside="/srv")
PATHS = Check(CheckKind.TOOL_ARGUMENTS, Action.BLOCK, tools=("read",), arguments=(INSIDE,))
ASK = Check(CheckKind.TOOL, Action.ASK, tools=("send",))


def guard(*checks: Check) -> ToolGuard:
    return ToolGuard.of(GuardrailPolicy("p", checks), "p@1")


def whats(verdicts: tuple[Verdict, ...]) -> list[str | None]:
    return [verdict.what for verdict in verdicts]


def test_a_policy_without_checks_of_calls_says_nothing():
    other = guard(Check(CheckKind.INJECTION, Action.BLOCK))
    assert other.judge(READ, None, Run()) == ()
    assert not other.has_checks
    assert not other.needs_arguments("read", is_tainted=True)


def test_a_verdict_says_which_check_and_which_call():
    check = Check(CheckKind.TOOL, Action.BLOCK, name="no shell", tools=("shell",))
    (verdict,) = guard(check).judge(ToolCall("shell", "{}"), None, Run(), place=2)
    assert verdict == Verdict(
        "no shell", Stage.TOOL_CALL, Action.BLOCK, policy="p@1", what="tool", place=2
    )
    assert guard(check).judge(READ, None, Run()) == ()


def test_allow_exempts_from_the_checks_of_tools_after_it():
    listed = guard(
        Check(CheckKind.TOOL, Action.ALLOW, tools=("read",)), Check(CheckKind.TOOL, Action.BLOCK)
    )
    assert listed.judge(READ, None, Run()) == ()
    assert strongest(listed.judge(SEND, None, Run())) is Action.BLOCK


def test_of_other_checks_the_strongest_counts_whatever_their_order():
    checks = (Check(CheckKind.TOOL, Action.FLAG), Check(CheckKind.TOOL, Action.BLOCK), ASK)
    for order in (checks, checks[::-1]):
        assert strongest(guard(*order).judge(SEND, None, Run())) is Action.BLOCK


def test_a_call_has_nothing_to_redact_so_it_is_blocked():
    redacting = guard(Check(CheckKind.TOOL, Action.REDACT))
    assert strongest(redacting.judge(READ, None, Run())) is Action.BLOCK


def test_a_check_of_what_is_tainted_waits_for_an_untrusted_text():
    tainted = guard(Check(CheckKind.TOOL, Action.ASK, tools=("send",), only_tainted=True))
    assert tainted.judge(SEND, None, Run()) == ()
    assert whats(tainted.judge(SEND, None, Run(is_tainted=True))) == ["tainted"]
    assert not tainted.needs_arguments("send", is_tainted=False)
    assert tainted.needs_arguments("send", is_tainted=True)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ('{"path": "/srv/a"}', []),
        ('{"path": "/etc/passwd"}', ["path"]),
        ('{"path": 5}', ["schema", "path"]),
        ('{"other": 5}', ["schema"]),
        ('{"path": "/srv', ["json"]),
        ("", ["json"]),
        ("[]", ["json"]),
    ],
)
def test_arguments_are_held_to_their_schema_and_rules(arguments: str, what: list[str]):
    schema = {"properties": {"path": {"type": "string"}}, "additionalProperties": False}
    assert whats(guard(PATHS).judge(ToolCall("read", arguments), schema, Run())) == what


def test_without_a_check_of_arguments_nobody_looks_at_them():
    assert guard(ASK).judge(ToolCall("read", "{"), {"type": "string"}, Run()) == ()


def test_a_run_ends_after_as_many_calls_as_it_may_make():
    limited = guard(Check(CheckKind.TOOL_CALLS, Action.BLOCK, max_calls=2))
    run = Run()
    for n in range(2):
        call = ToolCall("read", json.dumps({"n": n}))
        assert limited.judge(call, None, run) == ()
        run = run.after(call)
    assert whats(limited.judge(READ, None, run)) == ["runaway"]


def test_the_same_call_three_times_in_a_row_is_a_loop():
    limited = guard(Check(CheckKind.TOOL_CALLS, Action.BLOCK, max_calls=99))
    again = ToolCall("read", '{ "path":"/srv/a" }')
    run = Run().after(READ).after(again)
    assert whats(limited.judge(READ, None, run)) == ["loop"]
    assert limited.judge(READ, None, run.after(SEND)) == ()
    assert limited.judge(READ, None, Run().after(READ)) == ()


def test_a_rate_that_is_used_up_stops_its_tool_alone():
    limited = guard(Check(CheckKind.TOOL_CALLS, Action.BLOCK, calls_per_minute=2))
    run = Run.of([], ToolRun(rates_left={"read": 1, "send": 0}))
    assert limited.judge(READ, None, run) == ()
    assert whats(limited.judge(READ, None, run.after(READ))) == ["rate"]
    assert whats(limited.judge(SEND, None, run)) == ["rate"]


def test_of_two_rates_of_a_tool_the_stronger_counts():
    two = guard(
        Check(CheckKind.TOOL_CALLS, Action.FLAG, calls_per_minute=1),
        Check(CheckKind.TOOL_CALLS, Action.BLOCK, calls_per_minute=9, tools=("read",)),
    )
    assert two.rates(["read", "send"]) == {"read": 9, "send": 1}
    run = Run.of([], ToolRun(rates_left={"read": 0}))
    assert strongest(two.judge(READ, None, run)) is Action.BLOCK
    assert len(two.judge(READ, None, run)) == 1


def test_arguments_stream_unless_a_check_may_keep_the_call():
    for check in (PATHS, Check(CheckKind.TOOL_CALLS, Action.BLOCK, tools=("read",), max_calls=1)):
        assert guard(check).needs_arguments("read", is_tainted=False)
        assert not guard(check).needs_arguments("send", is_tainted=False)
    flags = Check(CheckKind.TOOL_ARGUMENTS, Action.FLAG)
    assert not guard(flags).needs_arguments("read", is_tainted=False)


def test_checks_of_texts_that_read_arguments_need_them_whole():
    for check, needs in (
        (Check(CheckKind.SECRETS, Action.REDACT), True),
        (Check(CheckKind.SECRETS, Action.FLAG), False),
        (Check(CheckKind.SECRETS, Action.BLOCK, (Stage.INPUT,)), False),
        (Check(CheckKind.INJECTION, Action.BLOCK, (Stage.TOOL_CALL,)), True),
        (Check(CheckKind.INJECTION, Action.BLOCK), False),
    ):
        assert guard(check).needs_arguments("any", is_tainted=False) is needs


def assistant(*calls: ToolCall) -> dict[str, Any]:
    return {
        "role": "assistant",
        "tool_calls": [
            {"id": c.id, "function": {"name": c.name, "arguments": c.arguments}} for c in calls
        ],
    }


def result(id_: str | None) -> dict[str, Any]:
    return {"role": "tool", "content": "done"} | ({} if id_ is None else {"tool_call_id": id_})


USER = {"role": "user", "content": "go"}


def test_a_run_is_what_came_after_the_last_words_of_the_user():
    call = ToolCall("read", "{}", "c1")
    messages = [USER, assistant(call), result("c1"), USER, assistant(call, call), result("c1")]
    run = Run.of(messages)
    assert (run.calls_made, run.is_tainted, len(run.digests)) == (2, True, 2)
    assert Run.of([USER]) == Run()


def test_what_the_session_knows_counts_where_it_is_more():
    run = Run.of([USER], ToolRun(is_tainted=True, calls_made=7))
    assert (run.calls_made, run.is_tainted) == (7, True)


def test_a_call_that_was_asked_about_and_has_a_result_needs_its_approval():
    call = ToolCall("send", SEND.arguments, new_ask_id())
    messages = [USER, assistant(call), result(call.id)]
    asks = guard(ASK)
    assert asks.unapproved(messages, (), {}) == (call,)
    assert asks.unapproved(messages, (approval_of(call.id or "", call.digest),), {}) == ()
    assert asks.unapproved(messages[:2], (), {}) == ()


def test_an_approval_is_of_one_call_with_its_arguments():
    call = ToolCall("send", SEND.arguments, new_ask_id())
    approved = (approval_of(call.id or "", call.digest),)
    for other in (
        ToolCall("send", '{"to": "evil@b.c"}', call.id),
        ToolCall("send", call.arguments, "call_renamed"),
        ToolCall("send", call.arguments, new_ask_id()),
        ToolCall("send", call.arguments, None),
        ToolCall("other", call.arguments, call.id),
    ):
        messages = [USER, assistant(other), result(other.id)]
        assert guard(ASK).unapproved(messages, approved, {}) == (other,), other


def test_two_calls_cannot_share_an_approval():
    call = ToolCall("send", SEND.arguments, new_ask_id())
    other = ToolCall("send", '{"to": "evil@b.c"}', call.id)
    messages = [USER, assistant(call, other), result(call.id)]
    approved = (approval_of(call.id or "", call.digest),)
    assert guard(ASK).unapproved(messages, approved, {}) == (other,)


def test_a_call_before_the_untrusted_text_was_not_tainted():
    tainted = guard(Check(CheckKind.TOOL, Action.ASK, tools=("send",), only_tainted=True))
    first, second = ToolCall("send", "{}", "c1"), ToolCall("send", "{}", "c2")
    messages = [USER, assistant(first), result("c1"), assistant(second), result("c2")]
    assert tainted.unapproved(messages, (), {}) == (second,)
    retrieved = {"role": "user", "content": "a page", "trust": "retrieved"}
    assert tainted.unapproved([retrieved, *messages], (), {}) == (first, second)


def test_arguments_that_break_a_rule_may_be_asked_about():
    check = Check(CheckKind.TOOL_ARGUMENTS, Action.ASK, arguments=(INSIDE,))
    good = ToolCall("read", '{"path": "/srv/a"}', "c1")
    bad = ToolCall("read", '{"path": "/etc/a"}', "c2")
    messages = [USER, assistant(good, bad), result("c1"), result("c2")]
    assert guard(check).unapproved(messages, (), {}) == (bad,)


def test_a_check_of_texts_may_ask_and_is_known_by_the_id_of_the_call():
    asks = guard(Check(CheckKind.SECRETS, Action.ASK))
    assert asks.has_checks
    call, other = ToolCall("send", "{}", new_ask_id()), ToolCall("send", "{}", "c1")
    messages = [USER, assistant(call, other), result(call.id), result("c1")]
    assert asks.unapproved(messages, (), {}) == (call,)


def test_arguments_may_stand_in_messages_as_objects():
    call = {"id": "c1", "function": {"name": "send", "arguments": {"to": "a@b.c"}}}
    messages = [USER, {"role": "assistant", "tool_calls": [call]}, result("c1")]
    (found,) = guard(ASK).unapproved(messages, (), {})
    assert found.digest == SEND.digest


@pytest.mark.parametrize("calls", [None, 5, "x", [5], [{}], [{"function": {"name": 5}}]])
def test_what_is_no_call_in_a_message_is_none(calls: Any):
    messages = [USER, {"role": "assistant", "tool_calls": calls}, result("c1")]
    assert guard(ASK).unapproved(messages, (), {}) == ()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_a_digest_does_not_depend_on_how_json_is_written(arguments: dict[str, Any]):
    one = ToolCall("t", json.dumps(arguments))
    other = ToolCall(
        "t", json.dumps(dict(reversed(arguments.items())), indent=2, ensure_ascii=False)
    )
    assert one.digest == other.digest


@given(st.text(), st.text(), st.text(), st.text())
def test_digests_of_different_texts_differ(name: str, text: str, other_name: str, other: str):
    is_same = (name, text) == (other_name, other)
    one, two = ToolCall(name, text + "{"), ToolCall(other_name, other + "{")
    assert (one.digest == two.digest) is is_same


def test_ids_of_calls_that_ask_can_be_told():
    id_ = new_ask_id()
    assert can_be_approved(id_)
    assert not can_be_approved("call_ask_x")
    assert pending_field(id_) == {"approval": {"status": "pending_approval", "id": id_}}
    assert pending_field("call_0123") == {}

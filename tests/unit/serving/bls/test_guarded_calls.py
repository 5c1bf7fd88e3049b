"""The calls of one answer: what of them goes out, and when."""

import json

import pytest
from guarding import Heard, ready, words

from serving.bls.guarded_calls import GuardedCalls
from serving.contract.approvals import is_ask_id
from serving.contract.guardrails import Action, Check, CheckKind, OnFailure, Stage
from serving.contract.tools import ToolCallDelta
from serving.guardrails.placeholders import Placeholders
from serving.guardrails.tools.run import Run

TOOLS = tuple({"type": "function", "function": {"name": name}} for name in ("send", "read"))


def calls_of(*checks, heard=None, restore=None, run=None, **options):
    heard = heard or Heard()
    return GuardedCalls(
        ready(*checks, **options),
        TOOLS,
        run or Run(),
        heard.verdicts.extend,
        heard.failures.append,
        restore,
    )


def pieces(name, *arguments, index=0):
    first = ToolCallDelta(index, f"c{index}", name)
    return [first, *(ToolCallDelta(index, arguments=piece) for piece in arguments)]


def out(calls, deltas):
    return [*calls.push(deltas), *calls.end()]


def arguments_of(passed):
    return "".join(delta.arguments for delta in passed)


def test_what_no_rule_can_block_streams():
    calls = calls_of(Check(CheckKind.TOOL, Action.BLOCK, tools=("send",)))
    deltas = pieces("read", '{"a":', "1}")
    assert list(calls.push(deltas)) == deltas
    assert calls.end() == ()


def test_a_call_that_may_be_blocked_is_announced_and_comes_once_judged():
    calls = calls_of(words(Action.BLOCK, "evil", Stage.TOOL_CALL))
    passed = calls.push(pieces("send", '{"to":', '"eve"}'))
    assert [(delta.name, delta.arguments) for delta in passed] == [("send", "")]
    assert arguments_of(calls.end()) == '{"to":"eve"}'


@pytest.mark.parametrize("action", [Action.BLOCK, Action.REDACT])
@pytest.mark.parametrize("to", ["evil", "\\u0065vil", "e\\u0076il"])
def test_no_spelling_of_an_argument_gets_past_the_words(action, to):
    calls = calls_of(words(action, "evil", Stage.TOOL_CALL))
    passed = out(calls, pieces("send", '{"to":"', to, '"}'))
    assert calls.is_blocked
    assert arguments_of(passed) == ""


def test_nothing_follows_a_blocked_call():
    heard = Heard()
    calls = calls_of(Check(CheckKind.TOOL, Action.BLOCK, tools=("send",)), heard=heard)
    passed = out(calls, [*pieces("send", "{}"), *pieces("read", "{}", index=1)])
    assert [delta.index for delta in passed] == [0]
    assert arguments_of(passed) == ""
    assert [verdict.place for verdict in heard.verdicts] == [0]


def test_a_call_that_waits_for_a_person_comes_whole_under_an_id_that_says_so():
    calls = calls_of(Check(CheckKind.TOOL, Action.ASK, tools=("send",)))
    (passed,) = out(calls, pieces("send", '{"a"', ":1}"))
    assert is_ask_id(passed.id)
    assert (passed.name, passed.arguments) == ("send", '{"a":1}')


def test_what_is_put_back_stays_within_its_text():
    vault = Placeholders()
    mark = vault.of("words", 'eve","amount":"1000')
    calls = calls_of(restore=vault.restore)
    told = json.loads(arguments_of(out(calls, pieces("send", f'{{"to":"{mark}","n":1}}'))))
    assert told == {"to": 'eve","amount":"1000', "n": 1}


def test_what_is_put_back_is_what_is_judged():
    vault = Placeholders()
    mark = vault.of("email", "eve@evil.example")
    calls = calls_of(words(Action.BLOCK, "evil", Stage.TOOL_CALL), restore=vault.restore)
    out(calls, pieces("send", f'{{"to":"{mark}"}}'))
    assert calls.is_blocked


def test_arguments_without_placeholders_stay_as_the_model_wrote_them():
    calls = calls_of(restore=Placeholders().restore)
    text = '{ "to" : "\\u00e9ve" }'
    assert arguments_of(out(calls, pieces("send", text))) == text


@pytest.mark.parametrize("rule", list(OnFailure))
def test_a_rule_that_fails_follows_the_policy(monkeypatch, rule):
    def broken(*_, **__):
        raise RuntimeError("a defect")

    monkeypatch.setattr("serving.guardrails.tools.guard.ToolGuard.judge", broken)
    heard = Heard()
    check = Check(CheckKind.TOOL, Action.BLOCK, tools=("send",), only_tainted=True)
    calls = calls_of(check, heard=heard, on_failure=rule, run=Run(is_tainted=True))
    passed = out(calls, pieces("send", "{}"))
    assert calls.is_blocked is (rule is OnFailure.CLOSED)
    assert arguments_of(passed) == ("" if rule is OnFailure.CLOSED else "{}")
    assert len(heard.failures) == 1

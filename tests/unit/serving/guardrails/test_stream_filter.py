import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.contract.guardrails import Action, Check, CheckKind, GuardrailPolicy, Stage
from serving.guardrails.examine import Guard
from serving.guardrails.stream import MAX_HELD, OutputFilter

_PERSONAL = Check(CheckKind.PERSONAL, Action.REDACT)
_SECRETS = Check(CheckKind.SECRETS, Action.REDACT)
_WORDS = Check(
    CheckKind.WORDS,
    Action.REDACT,
    phrases=("blue whale", "Straße", "oak"),
    patterns=("fox .{0,9}dog", r"\bx[0-9]+\b", "(?m)^note:"),
)
_ATTACKS = Check(CheckKind.INJECTION, Action.REDACT, (Stage.OUTPUT,))


def _guard(*checks: Check) -> Guard:
    return Guard.of(GuardrailPolicy("p", checks))


# What is redacted becomes a part of what later checks see: here none takes in a placeholder.
_ALL = _guard(_ATTACKS, _WORDS, _PERSONAL, _SECRETS)
_KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIabc-d\nxyz==\n-----END RSA PRIVATE KEY-----"
_PIECES = st.sampled_from(
    (" ", " ", "\n", ". ", ", ", "-", "(", "a", "x1", "12", "the ", "é", "e\u0301", "\u200b", "你",
     "𝐨ak", "oak", "o\u0430k", "blue", "  whale", "whale", "strasse", "STRASSE", "fox a ", "dog",
     "note: ", "jo@x.org", "ü@b.de", "+49 30 901820", "0171 1234567", "(415) 555-2671", "4111 1111",
     " 1111 1111", "DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "192.0.2.1", "8.8.8.8",
     "2606:4700::1111", "123-45-6789", "529.982.247-25", "12345678Z", "AB 12 34 56 C", "password ",
     "is ", "= ", "'hunter2'", "h4nter2!x", "token: ", "Bearer ",
     "a8f5f167f44f4964e6c998dee827110c",
     "sk-proj-abcdefghijklmnop1234", "AKIAIOSFODNN7EXAMPLE", _KEY, _KEY[:40], "<|im_", "start|>",
     "postgres://me:s3cr3t@", "db/x", "![a](https://x.y/?data=", "{b})", "https://a.b/c?d=e"),
)  # fmt: skip


def _streamed(guard: Guard, chunks: list[str]) -> str:
    answer = OutputFilter.of(guard)
    assert answer is not None
    return "".join(answer.push(chunk).text for chunk in chunks) + answer.end().text


def _cut(text: str, places: list[int]) -> list[str]:
    cuts = sorted({min(place, len(text)) for place in places} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(cuts)]


@given(st.lists(_PIECES, max_size=24).map("".join), st.lists(st.integers(0, 300), max_size=40))
def test_chunks_come_out_as_the_whole_text_would(text: str, places: list[int]) -> None:
    assert _streamed(_ALL, _cut(text, places)) == _ALL.examine(text, Stage.OUTPUT).text


@given(st.lists(_PIECES, max_size=16).map("".join))
def test_single_characters_come_out_as_the_whole_text_would(text: str) -> None:
    assert _streamed(_ALL, list(text)) == _ALL.examine(text, Stage.OUTPUT).text


@given(st.text(max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_any_text_comes_out_as_the_whole_would(text: str, places: list[int]) -> None:
    assert _streamed(_ALL, _cut(text, places)) == _ALL.examine(text, Stage.OUTPUT).text


@given(st.lists(_PIECES, max_size=20).map("".join), st.lists(st.integers(0, 200), max_size=20))
def test_a_block_shows_what_stands_before_it_and_nothing_else(text: str, places: list[int]) -> None:
    guard = _guard(_PERSONAL, Check(CheckKind.WORDS, Action.BLOCK, phrases=("oak",)))
    whole = guard.examine(text, Stage.OUTPUT)
    answer = OutputFilter.of(guard)
    assert answer is not None
    released = [answer.push(chunk) for chunk in _cut(text, places)] + [answer.end()]
    shown = "".join(part.text for part in released)
    assert any(part.is_blocked for part in released) == whole.is_blocked
    assert whole.text.startswith(shown)
    assert "oak" not in shown.split()


def test_plain_text_is_shown_up_to_its_last_word() -> None:
    answer = OutputFilter.of(_ALL)
    assert answer is not None
    assert answer.push("The sun is sh").text == "The sun is "
    assert answer.push("ining. It").text == "shining. "
    assert answer.is_holding
    assert answer.end().text == "It"
    assert not answer.is_holding


def test_a_number_is_held_until_it_is_none() -> None:
    answer = OutputFilter.of(_guard(_PERSONAL))
    assert answer is not None
    assert answer.push("card 4111 1111 ").text == "card "
    assert answer.push("pieces ").text == "4111 1111 pieces "


def test_chinese_is_shown_as_it_comes() -> None:
    answer = OutputFilter.of(_guard(_PERSONAL, _SECRETS))
    assert answer is not None
    assert answer.push("今天天气").text == "今天天气"


def test_verdicts_are_about_places_of_the_answer_as_the_model_wrote_it() -> None:
    text = "Ask jo@x.org or ann@y.org today."
    answer = OutputFilter.of(_guard(_PERSONAL))
    assert answer is not None
    released = [*(answer.push(text[at : at + 3]) for at in range(0, len(text), 3)), answer.end()]
    spans = [text[v.begin : v.end] for part in released for v in part.verdicts]
    assert spans == ["jo@x.org", "ann@y.org"]


def test_a_policy_without_checks_of_answers_has_no_filter() -> None:
    assert OutputFilter.of(_guard(Check(CheckKind.INJECTION, Action.BLOCK))) is None


@pytest.mark.parametrize("action", [Action.REDACT, Action.BLOCK])
def test_an_answer_that_is_too_long_ends_at_the_limit(action: Action) -> None:
    guard = _guard(Check(CheckKind.SIZE, action, max_characters=10))
    assert _streamed(guard, ["one two ", "three ", "four"]) == "one two th"


@pytest.mark.parametrize("ending", ["-----END PRIVATE KEY-----", ""])
def test_a_key_longer_than_all_that_is_held_is_not_shown(ending: str) -> None:
    key = "-----BEGIN PRIVATE KEY-----\n" + "Abc1+/xyz0\n" * MAX_HELD + ending
    shown = _streamed(_guard(_SECRETS), _cut(f"so: {key}", list(range(0, len(key), 500))))
    assert shown == "so: [private_key_1]"


def test_what_may_go_on_for_ever_is_not_held_for_ever() -> None:
    guard = _guard(Check(CheckKind.WORDS, Action.REDACT, patterns=(r"begin(?s:.*)end",)))
    answer = OutputFilter.of(guard)
    assert answer is not None
    shown = "".join(answer.push("begin and on ").text for _ in range(1000))
    assert len(shown) > 13_000 - MAX_HELD - 100


def test_a_chunk_costs_microseconds() -> None:
    answer = OutputFilter.of(_ALL)
    assert answer is not None
    prose = "The committee met on Tuesday, and it was agreed that the library opens in March. " * 50
    answer.push(prose)
    began_s = time.process_time()
    for at in range(0, len(prose), 4):
        answer.push(prose[at : at + 4])
    assert (time.process_time() - began_s) / (len(prose) / 4) < 300e-6

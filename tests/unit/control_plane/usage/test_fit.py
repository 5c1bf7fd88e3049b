import math
from dataclasses import replace

import pytest
from usage_events import an_event

from control_plane.usage.fit import LONGEST, Unfit, fitted, private
from serving.contract.guardrails import Action, Stage, Verdict
from serving.contract.policy import LogPrivacy

VERDICT = Verdict("injection", Stage.INPUT, Action.BLOCK, 0.9, "default@1", "override", 0, 2, 9)


def test_an_ordinary_event_stays_as_it_is():
    event = an_event(user="Ærøskøbing", session=None)
    assert fitted(event) is event


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a\0b", "a\ufffdb"),
        ("x" * 1000, "x" * LONGEST),
        ("é" * 200, "é" * (LONGEST // 2)),
        ("half \ud800", "half ?"),
    ],
)
def test_texts_are_made_to_fit(text, kept):
    event = fitted(an_event(user=text, model=text))
    assert (event.user, event.model) == (kept, kept)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("id", "x" * 1000),
        ("id", 7),
        ("tenant", None),
        ("user", 7),
        ("prompt_tokens", -1),
        ("prompt_tokens", "7"),
        ("prompt_tokens", True),
        ("prompt_tokens", 1 << 31),
        ("cost_nusd", 1 << 60),
        ("cost_nusd", 0.5),
        ("began_at", math.nan),
        ("began_at", 1e300),
        ("began_at", None),
        ("latency_ms", math.inf),
        ("ttft_ms", "fast"),
        ("status", "ok"),
    ],
)
def test_money_tokens_and_times_are_never_guessed(field, value):
    with pytest.raises(Unfit, match=f"'{field}'"):
        fitted(replace(an_event(), **{field: value}))


def test_without_logs_nothing_leads_to_a_person():
    event = an_event(user="ann", session="s", request_id="ann-1", verdicts=(VERDICT,))
    assert private(event, LogPrivacy.METADATA) is event
    hidden = private(event, LogPrivacy.NONE)
    assert hidden == replace(event, user=None, session=None, request_id=event.id, verdicts=())


def test_verdicts_are_made_to_fit_or_left_out():
    long = replace(VERDICT, check="x" * 1000, what="a\0b")
    odd = (
        replace(VERDICT, score=math.nan),
        replace(VERDICT, begin=-1),
        replace(VERDICT, end=2**60),
    )
    event = fitted(an_event(verdicts=(*odd, long)))
    assert event.verdicts == (replace(VERDICT, check="x" * LONGEST, what="a\ufffdb"),)

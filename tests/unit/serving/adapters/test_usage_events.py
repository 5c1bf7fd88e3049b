"""Usage events as JSON, across versions."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.adapters.usage_events import Malformed, decode, encode
from serving.contract.guardrails import Action, Stage, Verdict
from serving.contract.usage import MOST_VERDICTS, Status, UsageEvent, gravest

text = st.text(max_size=20)
places = st.none() | st.integers(0, 2**31)
verdicts = st.builds(
    Verdict,
    check=text,
    stage=st.sampled_from(Stage),
    action=st.sampled_from(Action),
    score=st.floats(0, 1),
    policy=text,
    what=st.none() | text,
    place=places,
    begin=places,
    end=places,
)
events = st.builds(
    UsageEvent,
    id=text,
    request_id=text,
    began_at=st.floats(0, 2e9),
    tenant=text,
    project=text,
    principal=text,
    endpoint=text,
    model=text,
    status=st.sampled_from(Status),
    user=st.none() | text,
    cost_nusd=st.integers(0, 2**53),
    ttft_ms=st.none() | st.floats(0, 1e9),
    verdicts=st.lists(verdicts, max_size=3).map(tuple),
)


@given(events)
def test_an_event_survives_json(event):
    assert decode(encode(event)) == event


EVENT = UsageEvent("a", "r", 1.0, "acme", "acme/web", "key:k", "chat", "demo", Status.OK)


def changed(**fields):
    return orjson.dumps(orjson.loads(encode(EVENT)) | fields)


def test_what_a_newer_version_adds_is_left_out():
    assert decode(changed(carbon_grams=3)) == EVENT


def test_what_an_older_version_did_not_know_is_at_its_default():
    old = orjson.loads(encode(EVENT))
    del old["ttft_ms"], old["session"]
    assert decode(orjson.dumps(old)) == EVENT


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b'{"id":"a"}', changed(status="eaten"), b"\xff"]
)
def test_what_is_no_event_is_malformed(data):
    with pytest.raises(Malformed):
        decode(data)


FLAGGED = {"check": "secrets", "stage": "input", "action": "flag", "score": 0.5, "begin": 3}


def test_verdicts_that_cannot_be_read_hold_up_no_bill():
    odd = [{**FLAGGED, "action": "teleport"}, 7, None, {}, {**FLAGGED, "place": "first"}]
    known = {**FLAGGED, "mood": "grim"}
    found = decode(changed(verdicts=[*odd, known]))
    assert found.verdicts == (Verdict("secrets", Stage.INPUT, Action.FLAG, 0.5, begin=3),)
    assert decode(changed(verdicts="many")) == EVENT


def test_an_event_has_the_gravest_of_many_verdicts():
    many = [Verdict(str(n), Stage.INPUT, Action.FLAG) for n in range(50)]
    worst = Verdict("last", Stage.OUTPUT, Action.BLOCK)
    kept = gravest([*many, worst])
    assert (kept[0], kept[1].check, len(kept)) == (worst, "0", MOST_VERDICTS)
    assert len(decode(changed(verdicts=[FLAGGED] * 50)).verdicts) == MOST_VERDICTS

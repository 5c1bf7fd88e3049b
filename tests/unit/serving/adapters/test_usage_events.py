"""Usage events as JSON, across versions."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.adapters.usage_events import Malformed, decode, encode
from serving.contract.usage import Status, UsageEvent

text = st.text(max_size=20)
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

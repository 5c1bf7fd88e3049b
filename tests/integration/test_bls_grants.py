"""Grants in the real Triton: a good one opens its request and tells of its use, no other does."""

import time
from dataclasses import replace
from itertools import count

import pytest
from test_engine_model import Client, connected

from serving.contract.calls import Call, Sampling
from serving.contract.errors import from_wire
from serving.contract.grant import Grant, sign
from serving.contract.wire import decode_chunk, encode_call

CALL = Call(
    messages=({"role": "user", "content": "hello"},),
    sampling=Sampling(temperature=0.0, max_tokens=400, min_tokens=400),
    is_streamed=True,
)
SHORT = replace(CALL, sampling=Sampling(max_tokens=2))
_numbers = count()


@pytest.fixture
async def client(stack):
    async with connected(stack) as made:
        yield made


@pytest.fixture
def key(stack):
    return (stack.var / "secrets" / "grant_key").read_text().strip().encode()


@pytest.fixture
def grant():
    """Good for one request that nobody has sent yet."""
    return Grant(f"granted-{next(_numbers)}", "demo", "team", expires_at=time.time() + 30)


async def asked(client: Client, call: Call, text: str | None, request_id: str):
    return await client.ask("demo", encode_call(replace(call, grant=text)), request_id)


async def refusal(client: Client, text: str, request_id: str):
    reply = await asked(client, SHORT, text, request_id)
    assert reply.responses == []
    return from_wire(reply.error)


async def test_a_good_grant_tells_what_is_used_so_far(client, grant, key):
    began_s = time.monotonic()
    reply = await asked(client, CALL, sign(grant, key), grant.request_id)
    took_s = time.monotonic() - began_s
    chunks = [decode_chunk(arrays) for arrays in reply.responses]
    told = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert chunks[0].usage == told[0]
    assert told[-1].completion_tokens == 400
    assert len({usage.prompt_tokens for usage in told}) == 1
    so_far = [usage.completion_tokens for usage in told]
    assert so_far == sorted(set(so_far))
    assert 2 <= len(told) <= 2 + took_s / 0.25


async def test_an_answer_that_is_sent_whole_tells_it_too(client, grant, key):
    call = replace(CALL, is_streamed=False)
    reply = await asked(client, call, sign(grant, key), grant.request_id)
    *before, last = [decode_chunk(arrays) for arrays in reply.responses]
    assert [(chunk.text, chunk.finish_reason) for chunk in before] == [("", None)] * len(before)
    so_far = [chunk.usage.completion_tokens for chunk in (*before, last)]
    assert so_far == sorted(so_far)
    assert (so_far[-1], len(last.text) > 400) == (400, True)


async def test_without_a_grant_it_is_told_at_the_end_only(client):
    reply = await asked(client, SHORT, None, "")
    chunks = [decode_chunk(arrays) for arrays in reply.responses]
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


async def test_a_grant_opens_once(client, grant, key):
    text = sign(grant, key)
    assert (await asked(client, SHORT, text, grant.request_id)).error is None
    error = await refusal(client, text, grant.request_id)
    assert (error.code, "used before" in error.message) == ("bad_grant", True)


BAD = {
    "forged": (lambda grant: grant, b"another key"),
    "expired": (lambda grant: replace(grant, expires_at=time.time() - 1), None),
    "for another model": (lambda grant: replace(grant, model="large"), None),
    "for another request": (lambda grant: replace(grant, request_id="other"), None),
}


@pytest.mark.parametrize("name", sorted(BAD))
async def test_another_grant_is_refused(client, grant, key, name):
    change, other_key = BAD[name]
    error = await refusal(client, sign(change(grant), other_key or key), grant.request_id)
    assert error.code == "bad_grant"
    assert (await asked(client, SHORT, sign(grant, key), grant.request_id)).error is None


async def test_what_is_no_grant_is_refused(client, grant):
    for text in ("", "x", "x.y", "ü" * 5000):
        assert (await refusal(client, text, grant.request_id)).code == "bad_grant"

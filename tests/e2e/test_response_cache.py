"""The response cache of the whole stack: what clients get again, what it costs, who shares it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from asking import by_grpc
from governed import Books, Key, control_plane, new_key
from waiting import until

PROJECT, SIBLING = "cached/web", "cached/api"
AT_ONCE = 24
PRICE = {"input_nusd": 1_000, "output_nusd": 2_000}


@pytest.fixture(scope="module")
def keys(stack) -> Iterator[dict[str, Key]]:
    """Of two projects of one tenant that have a cache, and of one that has none."""
    made = {name: new_key(stack, name) for name in (PROJECT, "uncached/web")}
    with control_plane(stack) as control:
        control.post("/projects", json={"id": SIBLING, "name": "api"})
        control.patch("/models/demo/prices", json={"price": PRICE})
    for project in (PROJECT, SIBLING):
        done = stack.conch("projects", "change", project, "--cache", "exact", "--json")
        assert json.loads(done.stdout)["cache"] == "exact"
    made[SIBLING] = new_key(stack, SIBLING)  # policy comes in order: now every gateway has it all
    yield made
    with control_plane(stack) as control:
        control.patch("/models/demo/prices", json={"price": dict.fromkeys(PRICE, 0)})


@pytest.fixture
async def web(stack) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(
        base_url=stack.base_url, trust_env=False, timeout=60, limits=limits
    ) as client:
        yield client


@pytest.fixture
def chat() -> dict[str, Any]:
    """A request that nobody has sent before."""
    said = [{"role": "user", "content": f"Hello {uuid4()}"}]
    return {"model": "demo", "messages": said, "temperature": 0, "max_tokens": 40}


async def post(web: httpx.AsyncClient, key: Key, body: Any, **headers: str) -> httpx.Response:
    path = "/chat/completions" if "messages" in body else "/completions"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await web.post(path, json=body, headers=key.headers | named)
    assert answer.status_code == 200, answer.text
    return answer


def outcome(answer: httpx.Response) -> str | None:
    return answer.headers.get("x-conch-cache")


def text_of(answer: httpx.Response) -> str:
    return answer.json()["choices"][0]["message"]["content"]


def pieces_of(answer: httpx.Response) -> list[str]:
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    events = [json.loads(line) for line in lines if line != "[DONE]"]
    deltas = [event["choices"][0]["delta"] for event in events if event["choices"]]
    return [delta["content"] for delta in deltas if delta.get("content")]


async def settled(web: httpx.AsyncClient, key: Key, body: Any) -> httpx.Response:
    """The answer, once it is in the cache: it goes there when its client has it already."""
    async with asyncio.timeout(10):
        while outcome(answer := await post(web, key, body)) != "hit":
            await asyncio.sleep(0.02)
    return answer


async def test_a_hit_says_the_same_whole_and_streamed(keys, web, chat):
    key = keys[PROJECT]
    first = await post(web, key, chat)
    again = await settled(web, key, chat)
    assert outcome(first) == "miss"
    assert int(again.headers["age"]) < 10
    assert again.json()["choices"] == first.json()["choices"]
    assert again.json()["id"] != first.json()["id"]
    streamed = await post(web, key, chat | {"stream": True})
    assert outcome(streamed) == "hit"
    pieces = pieces_of(streamed)
    assert "".join(pieces) == text_of(first)
    assert len(pieces) > 1


async def test_a_stream_is_kept_for_who_wants_it_whole(keys, web, chat):
    streamed = await post(web, keys[PROJECT], chat | {"stream": True})
    whole = await settled(web, keys[PROJECT], chat)
    assert outcome(streamed) == "miss"
    assert text_of(whole) == "".join(pieces_of(streamed))


async def test_calls_of_tools_are_given_again(keys, web, chat):
    parameters = {"type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}}}
    tool = {"type": "function", "function": {"name": "weather", "parameters": parameters}}
    named = {"type": "function", "function": {"name": "weather"}}
    asked = chat | {"tools": [tool], "tool_choice": named, "max_tokens": 80}
    first = await post(web, keys[PROJECT], asked)
    again = await settled(web, keys[PROJECT], asked)
    assert first.json()["choices"][0]["finish_reason"] == "tool_calls"
    assert again.json()["choices"] == first.json()["choices"]


async def test_grpc_and_rest_share_answers(stack, keys, web):
    prompt = f"The sea {uuid4()}"
    body = {"model": "demo", "prompt": prompt, "temperature": 0.0, "max_tokens": 8}
    first = await post(web, keys[PROJECT], body)
    await settled(web, keys[PROJECT], body)
    name = f"grpc-{uuid4()}"
    asked = {"text_input": prompt, "temperature": 0.0, "max_tokens": 8}
    text = await asyncio.to_thread(by_grpc, stack, keys[PROJECT], name, **asked)
    assert text == first.json()["choices"][0]["text"]
    (event,) = await asyncio.to_thread(events, stack, name, 1)
    assert event["cache"] == "hit"


def events(stack: Any, name: str, count: int) -> list[dict[str, Any]]:
    """The usage events whose ids begin with `name`, waited for."""
    books = Books.of(stack)
    query = f"SELECT * FROM usage_events WHERE starts_with(request_id, '{name}') ORDER BY began_at"
    until(lambda: len(books.rows(query)) == count, 15.0)
    return books.rows(query)


async def test_a_hit_costs_nothing_and_is_counted(stack, keys, web, chat):
    name = f"billed-{uuid4()}"
    await post(web, keys[PROJECT], chat, x_request_id=f"{name}-0")
    await settled(web, keys[PROJECT], chat)
    await post(web, keys[PROJECT], chat, x_request_id=f"{name}-1")
    first, again = await asyncio.to_thread(events, stack, name, 2)
    assert first["cost_nusd"] > 0
    assert (first["cache"], again["cache"]) == (None, "hit")
    assert (again["status"], again["cost_nusd"]) == ("ok", 0)
    assert again["prompt_tokens"] == again["cached_tokens"] == first["prompt_tokens"] > 0
    assert again["completion_tokens"] == first["completion_tokens"]


async def test_equal_requests_at_once_are_one_generation(stack, keys, web, chat):
    name = f"flock-{uuid4()}"
    asked = [
        post(web, keys[PROJECT], chat, x_request_id=f"{name}-{number}") for number in range(AT_ONCE)
    ]
    answers = await asyncio.gather(*asked)
    assert len({text_of(answer) for answer in answers}) == 1
    found = await asyncio.to_thread(events, stack, name, AT_ONCE)
    assert [event["cost_nusd"] > 0 for event in found].count(True) == 1
    assert [event["cache"] for event in found].count("hit") == AT_ONCE - 1


async def test_others_go_on_when_the_first_hangs_up(keys, web, chat):
    asked = chat | {"stream": True, "max_tokens": 200}
    headers = keys[PROJECT].headers
    async with web.stream("POST", "/chat/completions", json=asked, headers=headers) as leader:
        assert leader.headers["x-conch-cache"] == "miss"
        await anext(leader.aiter_bytes())
        follower = asyncio.create_task(post(web, keys[PROJECT], asked))
        await asyncio.sleep(0.02)
    assert "[DONE]" in (await follower).text


async def test_projects_share_nothing(keys, web, chat):
    await settled(web, keys[PROJECT], chat)
    assert outcome(await post(web, keys[SIBLING], chat)) == "miss"
    assert outcome(await post(web, keys["uncached/web"], chat)) is None


async def test_other_requests_have_other_answers(keys, web, chat):
    await settled(web, keys[PROJECT], chat)
    for other in ({"max_tokens": 41}, {"stop": ["x"]}, {"seed": 7}, {"model": "demo:"}):
        answer = await post(web, keys[PROJECT], chat | other)
        assert outcome(answer) == ("hit" if "model" in other else "miss"), other
    assert outcome(await post(web, keys[PROJECT], chat | {"temperature": 1})) == "bypass"


async def test_clients_narrow_it(keys, web, chat):
    key = keys[PROJECT]
    await settled(web, key, chat)
    assert outcome(await post(web, key, chat, cache_control="no-store")) == "bypass"
    assert outcome(await post(web, key, chat, cache_control="no-cache")) == "miss"
    assert outcome(await post(web, key, chat, cache_control="max-age=60")) == "hit"
    sampled = chat | {"temperature": 1}
    assert outcome(await post(web, key, sampled, x_conch_cache="allow")) == "miss"


async def test_another_guardrail_policy_has_its_own_answers(stack, keys, web, chat):
    await settled(web, keys[SIBLING], chat)
    check = {"kind": "words", "action": "block", "phrases": ["unlikely"]}
    with control_plane(stack) as control:
        control.put("/guardrails/cached/own", json={"checks": [check]})
        control.patch(f"/projects/{SIBLING}", json={"guardrails": "cached/own"})
    await asyncio.to_thread(new_key, stack, SIBLING)
    assert outcome(await post(web, keys[SIBLING], chat)) == "miss"


async def test_it_forgets_what_it_is_told_to(stack, keys, web, chat):
    await settled(web, keys[PROJECT], chat)
    held = json.loads(stack.conch("cache", "stats", "--json").stdout)
    assert held["entries"] > 0
    assert held["bytes"] > 0
    done = stack.conch("cache", "purge", "--project", PROJECT, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["purged"] > 0
    assert outcome(await post(web, keys[PROJECT], chat)) == "miss"
    refused = stack.conch("cache", "purge")
    assert refused.returncode == 1
    assert "give one of model" in refused.stderr


async def test_a_key_that_serves_may_not_purge(keys, web):
    answer = await web.post(
        "/cache/purge", json={"project": PROJECT}, headers=keys[PROJECT].headers
    )
    assert answer.status_code == 403
    assert (await web.get("/cache", headers=keys[PROJECT].headers)).status_code == 403

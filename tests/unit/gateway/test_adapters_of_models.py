"""Adapters as clients of the REST API meet them: as models, by name, and when they have gone."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from gateway.app import build, open_gate
from gateway.ask import Ask
from gateway.gate import Gate
from gateway.kserve.models import Models
from gateway.metrics import Metrics
from gateway.pipeline import _gone
from gateway.settings import GatewaySettings
from gateway.stages.adapters import UNLISTED, Adapters
from gateway.stages.auth import ALONE
from gateway.stages.route import Catalogue
from serving.contract.calls import Call, Chunk, FinishReason, Usage
from serving.contract.errors import AdapterNotFound, AdaptersBusy, Unavailable
from serving.contract.principal import Principal
from serving.identity.identify import Credentials

NAMES = {"demo": ("pirate", "terse"), "plain": ()}
HELLO: Any = [{"role": "user", "content": "hello"}]
SETTINGS = GatewaySettings(governed=False, api_key="sk-unit", triton_url="127.0.0.1:1")
LAST = Chunk(text="Arr", finish_reason=FinishReason.STOP, usage=Usage(1, 1))


class Replies:
    """The transport of a Triton: answers every call alike, or fails it."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.calls: list[Call] = []

    @asynccontextmanager
    async def stream(self, _model: str, call: Call, _id: str) -> AsyncIterator[Any]:
        self.calls.append(call)
        yield self._chunks()

    async def _chunks(self) -> AsyncIterator[Chunk]:
        if self.error is not None:
            raise self.error
        yield LAST


class Known:
    """Everybody is the principal of the test."""

    principal: Principal = ALONE

    async def admit(self, _: Credentials) -> Principal:
        return self.principal


class World:
    """A gate and what stands around it."""

    def __init__(self, gate: Gate) -> None:
        self.triton, self.known, self.metrics = Replies(), Known(), Metrics()
        self.names: dict[str, tuple[str, ...] | Exception] = {**NAMES}
        self.gate = replace(
            gate,
            gatekeeper=self.known,
            triton=self.triton,  # type: ignore[arg-type]
            catalogue=Catalogue(self._models),
            adapters=Adapters(self._adapters),
        )

    async def _models(self) -> tuple[str, ...]:
        return tuple(NAMES)

    async def _adapters(self, model: str) -> tuple[str, ...]:
        found = self.names[model]
        if isinstance(found, Exception):
            raise found
        return found

    def counted(self, **labels: str) -> float | None:
        of = {"endpoint": "chat", "model": "demo", "status": "200", "reason": "", **labels}
        return self.metrics.registry.get_sample_value("conch_gateway_requests_total", of)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_gate(SETTINGS, Metrics()) as gate:
        yield World(gate)


@pytest.fixture
async def client(world: World) -> AsyncIterator[AsyncOpenAI]:
    transport = httpx.ASGITransport(build(world.gate, world.metrics))
    async with (
        httpx.AsyncClient(transport=transport) as http,
        AsyncOpenAI(
            base_url="http://gateway/v1", api_key="k", http_client=http, max_retries=0
        ) as client,
    ):
        yield client


async def ids(client: AsyncOpenAI) -> list[str]:
    return [model.id async for model in client.models.list()]


async def test_adapters_are_models_with_a_parent(client):
    models = {model.id: model async for model in client.models.list()}
    assert list(models) == ["demo", "demo:pirate", "demo:terse", "plain"]
    families = [(model.root, model.parent, model.owned_by) for model in models.values()]
    of_demo = ("demo", "demo", "conch")
    assert families == [("demo", None, "conch"), of_demo, of_demo, ("plain", None, "conch")]


async def test_one_is_found_by_its_name(client):
    found = await client.models.retrieve("demo:pirate")
    assert (found.id, found.parent) == ("demo:pirate", "demo")
    assert (await client.models.retrieve("demo:")).id == "demo"
    for name in ("demo:nobody", "plain:pirate"):
        with pytest.raises(openai.NotFoundError) as missing:
            await client.models.retrieve(name)
        assert (missing.value.code, missing.value.param) == ("adapter_not_found", "model")
    with pytest.raises(openai.NotFoundError, match="model 'nope' is not deployed"):
        await client.models.retrieve("nope:pirate")


async def test_a_key_sees_what_it_may_use(client, world):
    world.known.principal = replace(ALONE, models=("demo",), adapters=("terse",))
    assert await ids(client) == ["demo", "demo:terse"]
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("demo:pirate")


async def test_a_model_that_cannot_say_what_it_has_is_there_all_the_same(client, world):
    world.names["demo"] = Unavailable("away")
    assert await ids(client) == ["demo", "plain"]
    with pytest.raises(openai.InternalServerError) as away:
        await client.models.retrieve("demo:pirate")
    assert away.value.status_code == 503


@pytest.mark.parametrize(
    "asked",
    [{"model": "demo:pirate"}, {"model": "demo", "extra_body": {"adapter": "pirate"}}],
)
async def test_what_answered_is_told_and_counted(client, world, asked):
    answer = await client.chat.completions.create(messages=HELLO, **asked)
    assert (answer.model, answer.choices[0].message.content) == ("demo:pirate", "Arr")
    assert world.triton.calls[0].adapter == "pirate"
    assert world.counted(adapter="pirate") == 1


async def test_every_prompt_of_a_request_has_the_same(client, world):
    answer = await client.completions.create(model="demo:terse", prompt=["a", "b"])
    assert answer.model == "demo:terse"
    assert [call.adapter for call in world.triton.calls] == ["terse", "terse"]


@pytest.mark.parametrize("wrong", [7, ["pirate"], "x" * 129])
async def test_an_adapter_that_is_no_name_is_a_bad_request(client, wrong):
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(
            model="demo", messages=HELLO, extra_body={"adapter": wrong}
        )
    assert refused.value.param == "adapter"


@pytest.fixture
def gone(world) -> Iterator[None]:
    """The model server knows it no more, and the gateway does not know that yet."""
    world.triton.error = AdapterNotFound("the words of the model server")
    yield
    assert len(world.triton.calls) == 1


@pytest.mark.usefixtures("gone")
@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"model": "demo:pirate"}, "model"),
        ({"model": "demo", "extra_body": {"adapter": "pirate"}}, "adapter"),
    ],
)
async def test_one_that_has_just_gone_is_not_found_and_not_tried_again(client, world, asked, param):
    assert await world.gate.adapters.has("demo", "pirate")
    world.names["demo"] = ("terse",)
    for _ in range(2):
        with pytest.raises(openai.NotFoundError, match="has no adapter 'pirate'") as missing:
            await client.chat.completions.create(messages=HELLO, **asked)
        assert (missing.value.code, missing.value.param) == ("adapter_not_found", param)


async def test_no_room_for_an_adapter_is_told_with_when_to_try_again(client, world):
    world.triton.error = AdaptersBusy("every adapter in the engine is in use")
    with pytest.raises(openai.InternalServerError) as busy:
        await client.chat.completions.create(model="demo:pirate", messages=HELLO)
    assert (busy.value.status_code, busy.value.code) == (503, "adapters_busy")
    assert busy.value.response.headers["retry-after"] == "1"
    assert len(world.triton.calls) == 1
    assert world.counted(adapter="pirate", status="503", reason="adapters_busy") == 1


async def test_who_got_one_by_rule_and_lost_it_is_told_to_try_again(world):
    ask = Ask("demo", (Call(text="a", adapter="pirate"),), adapter="pirate")
    assert await world.gate.adapters.has("demo", "pirate")
    error = _gone(world.gate, ask)
    assert (type(error), error.is_retryable) == (Unavailable, True)
    assert world.gate.adapters.label("demo", "pirate") == UNLISTED


async def test_to_triton_clients_an_adapter_looks_as_its_model_does(world):
    models = Models(world.gate)
    assert await models._model_of("demo:pirate", ALONE) == "demo"
    assert await models._model_of("demo:", ALONE) == await models._model_of("demo", ALONE) == "demo"
    with pytest.raises(AdapterNotFound):
        await models._model_of("demo:pirate", replace(ALONE, adapters=("terse",)))
    assert not await models.is_ready("demo:nobody", "", ALONE)

"""Adapters of the BLS model in the real Triton: served together, changed while they run, healed."""

import asyncio
import re
import time
import urllib.request
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
import orjson
import pytest
from engine_client import Client, connected, worker_of
from random_adapters import DEMO_MODEL, layers, tensors

from serving.contract import control
from serving.contract.calls import Call, FinishReason, Sampling
from serving.contract.control import AdapterItem, Operation, decode_list, encode_operation
from serving.contract.errors import from_wire
from serving.contract.grant import Grant, sign
from serving.contract.wire import decode_chunk, encode_call, single
from serving.lora import files, peft

PROMPT = tuple(range(500, 516))
SHORT = Call(
    input_ids=PROMPT, sampling=Sampling(temperature=0.0, max_tokens=12, min_tokens=12, end_id=7)
)
LONG = replace(
    SHORT,
    sampling=Sampling(temperature=0.0, max_tokens=400, min_tokens=400, end_id=7),
    is_streamed=True,
)
HALF = replace(LONG, sampling=replace(LONG.sampling, max_tokens=200, min_tokens=200))
PLACES = 6  # of the demo engine
_numbers = count()


@dataclass
class Operator:
    """Whoever has the stack's grant key."""

    client: Client
    key: bytes
    folder: Path

    def grant(self, **allowed) -> tuple[str, str]:
        request_id = f"pool-{next(_numbers)}"
        grant = Grant(request_id, "demo", "team", time.time() + 60, **allowed)
        return request_id, sign(grant, self.key)

    async def told(self, *operation: str):
        request_id, grant = self.grant(can_control=True)
        text = encode_operation(Operation(*operation))
        arrays = {"control": single("STRING", text), "grant": single("STRING", grant)}
        reply = await self.client.ask("demo", arrays, request_id)
        assert (reply.error, reply.finals, len(reply.responses)) == (None, 1, 1)
        return reply.responses[0]["control"].item()

    async def list(self) -> dict[str, AdapterItem]:
        return {item.name: item for item in decode_list(await self.told(control.LIST))}

    async def add(self, name: str, seed: int) -> AdapterItem:
        peft.write(self.folder / str(seed), layers(seed, rank=4), str(DEMO_MODEL))
        told = await self.told(control.ADD, name, str(self.folder / str(seed)))
        return AdapterItem(**orjson.loads(told))

    async def stats(self):
        return orjson.loads(await self.told(control.STATS))

    async def ask(self, adapter: str | None, call: Call = SHORT):
        request_id, grant = self.grant(adapters=None)
        arrays = encode_call(replace(call, adapter=adapter, grant=grant))
        return await self.client.ask("demo", arrays, request_id)

    async def text(self, adapter: str | None, call: Call = SHORT) -> str:
        reply = await self.ask(adapter, call)
        assert reply.error is None
        return "".join(decode_chunk(arrays).text for arrays in reply.responses)

    async def begun(self, adapter: str | None, call: Call = LONG) -> "asyncio.Task[str]":
        """The text of a long answer whose first token has come."""
        request_id, grant = self.grant(adapters=None)
        arrays = encode_call(replace(call, adapter=adapter, grant=grant))
        has_begun = asyncio.Event()
        task = asyncio.create_task(self._read(arrays, request_id, has_begun))
        try:
            await has_begun.wait()
        except asyncio.CancelledError:
            task.cancel()
            raise
        return task

    async def _read(self, arrays, request_id: str, has_begun: asyncio.Event) -> str:
        text = ""
        async for result, error in self.client.stream("demo", arrays, request_id):
            has_begun.set()
            assert error is None
            outputs = result.get_response().outputs
            text += decode_chunk({o.name: result.as_numpy(o.name) for o in outputs}).text
        return text

    def loads(self) -> float:
        """How often the engine was given an adapter it did not have."""
        return self.client.metrics().get("conch_engine_lora_loads/demo_engine", 0)


@pytest.fixture
async def operator(stack, tmp_path_factory):
    async with connected(stack) as client:
        key = (stack.var / "secrets" / "grant_key").read_text().strip().encode()
        yield Operator(client, key, tmp_path_factory.mktemp("peft"))


@pytest.fixture
async def three(operator):
    """Three adapters, and the answers of each and of the base model."""
    for place in range(3):
        await operator.add(f"a{place}", place)
    names = [None, "a0", "a1", "a2"]
    return {name: await operator.text(name) for name in names}


async def test_each_of_three_answers_in_its_own_way_beside_the_others(operator, three):
    assert len(set(three.values())) == 4
    names = list(three) * 2
    texts = [await asyncio.gather(*map(operator.text, three)) for _ in range(2)]
    assert [text for row in texts for text in row] == [three[name] for name in names]
    items = await operator.list()
    assert all(items[f"a{place}"].is_resident for place in range(3))


async def test_a_fourth_is_added_and_answers_while_streams_run(operator, three):
    running = [await operator.begun(name) for name in three]
    await operator.add("a3", 3)
    fourth = await operator.text("a3")
    assert fourth not in three.values()
    for whole, start in zip(await asyncio.gather(*running), three.values(), strict=True):
        assert whole.startswith(start)
        assert len(whole) > 10 * len(start)


async def test_a_replaced_adapter_answers_anew_and_what_runs_ends_with_the_old_one(operator, three):
    whole = await operator.text("a0", LONG)
    running = await operator.begun("a0")
    before = (await operator.list())["a0"]
    after = await operator.add("a0", 10)
    assert (after.version, after.task_id != before.task_id) == (before.version + 1, True)
    changed = await operator.text("a0")
    assert changed not in three.values()
    assert await running == whole
    await operator.add("a0", 0)
    assert await operator.text("a0") == three["a0"]


async def test_a_removed_adapter_is_not_found_and_what_runs_ends_with_it(operator, three):
    whole = await operator.text("a1", LONG)
    running = await operator.begun("a1")
    await operator.told(control.REMOVE, "a1")
    error = from_wire((await operator.ask("a1")).error)
    assert (error.code, error.param) == ("adapter_not_found", "adapter")
    assert await running == whole


async def test_after_a_reload_of_the_bls_model_alone_every_name_means_the_same(
    operator, three, stack
):
    await operator.add("a0", 10)
    replaced = await operator.text("a0")
    items = await operator.list()
    await asyncio.to_thread(reload, stack)
    assert (await operator.stats())["resident"] == 0
    again = await operator.list()
    assert {name: item.task_id for name, item in again.items()} == {
        name: item.task_id for name, item in items.items()
    }
    assert await operator.text("a0") == replaced
    assert await operator.text("a2") == three["a2"]


def reload(stack) -> None:
    """Triton passes over a load that changes nothing: hence a parameter that nobody reads."""
    with urllib.request.urlopen(f"{stack.triton_http}/v2/models/demo/config") as reply:
        config = orjson.loads(reply.read())
    config["parameters"]["reloaded_at"] = {"string_value": str(time.time())}
    body = orjson.dumps({"parameters": {"config": orjson.dumps(config).decode()}})
    url = f"{stack.triton_http}/v2/repository/models/demo/load"
    urllib.request.urlopen(urllib.request.Request(url, body, method="POST")).close()


async def is_up(operator: Operator) -> bool:
    return (await operator.ask(None)).error is None


async def test_what_a_killed_engine_lost_is_loaded_again_and_nobody_notices(operator, three, stack):
    before = (await operator.stats())["by_adapter"]["a0"]["reloads"]
    worker_of(stack).kill()
    async with asyncio.timeout(30):
        while not await is_up(operator):
            await asyncio.sleep(0.05)
    assert (await operator.list())["a0"].is_resident
    texts = await asyncio.gather(*(operator.text(name) for name in three))
    assert texts == list(three.values())
    assert (await operator.stats())["by_adapter"]["a0"]["reloads"] == before + 1


def metrics_page(stack) -> str:
    with urllib.request.urlopen(stack.triton_metrics_url) as page:
        return page.read().decode()


async def test_first_requests_that_come_together_load_a_cold_adapter_once(operator, stack):
    await operator.add("cold", 20)
    before = operator.loads()
    # Of one token: answers in a batch are rounded in other ways, and may part later.
    one = replace(SHORT, sampling=replace(SHORT.sampling, max_tokens=1, min_tokens=1))
    texts = await asyncio.gather(*(operator.text("cold", one) for _ in range(12)))
    assert len(set(texts)) == 1
    assert operator.loads() == before + 1
    counts = (await operator.stats())["by_adapter"]["cold"]
    assert counts == {"hits": 11, "misses": 1, "reloads": 0}
    text = await asyncio.to_thread(metrics_page, stack)
    hits = r'conch_adapter_hits_total\{adapter="cold",model="demo",[^}]*\} 11$'
    assert re.search(hits, text, re.MULTILINE)


async def test_a_pinned_adapter_is_loaded_without_a_request(operator):
    await operator.add("pinned", 40)
    await operator.told(control.PIN, "pinned")
    async with asyncio.timeout(30):
        while not (await operator.list())["pinned"].is_resident:
            await asyncio.sleep(0.02)
    await operator.told(control.UNPIN, "pinned")
    assert not (await operator.list())["pinned"].is_pinned


async def test_a_caller_of_nvidias_model_brings_its_own_adapter(operator, three, tmp_path):
    sent = tensors(1, rank=4)
    own = {
        "lora_task_id": np.array([[424242]], np.uint64),
        "lora_weights": sent.weights[np.newaxis],
        "lora_config": sent.config[np.newaxis],
    }
    arrays = encode_call(SHORT)
    missed = await operator.client.ask("demo", arrays | {"lora_task_id": own["lora_task_id"]})
    assert "LoRA task 424242 not found in cache. Please send LoRA weights with request" in (
        missed.error
    )
    for lora in (own, {"lora_task_id": own["lora_task_id"]}):
        reply = await operator.client.ask("demo", arrays | lora)
        (chunk,) = [decode_chunk(each) for each in reply.responses]
        assert (chunk.text, chunk.finish_reason) == (three["a1"], FinishReason.LENGTH)
    files.save(tmp_path, sent)
    assert (await operator.list())["a1"].rank == 4


async def test_without_a_grant_the_shipped_adapters_are_there_and_no_operations(operator, three):
    async def refusal(arrays):
        return from_wire((await operator.client.ask("demo", arrays)).error)

    error = await refusal(encode_call(replace(SHORT, adapter="a0")))
    assert error.code == "adapter_not_found"
    operation = {"control": single("STRING", encode_operation(Operation(control.LIST)))}
    assert (await refusal(operation)).code == "permission_denied"
    shipped = [name for name in await operator.list() if name in ("pirate", "terse")]
    for name in shipped:
        reply = await operator.client.ask("demo", encode_call(replace(SHORT, adapter=name)))
        assert reply.error is None


async def conch(stack, *arguments: str):
    return await asyncio.to_thread(stack.conch, "adapters", *arguments)


async def test_an_operator_does_all_that_from_the_command_line(operator, stack):
    peft.write(operator.folder / "cli", layers(50, rank=4), str(DEMO_MODEL))
    added = await conch(stack, "add", "from-cli", str(operator.folder / "cli"), "--json")
    assert added.returncode == 0, added.stderr
    item = (await operator.list())["from-cli"]
    assert AdapterItem(**orjson.loads(added.stdout)) == item
    shown, refused = await asyncio.gather(
        conch(stack, "stats", "--json"), conch(stack, "remove", "nobody")
    )
    assert orjson.loads(shown.stdout)["capacity"] == PLACES
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
    assert "has no adapter 'nobody'" in refused.stderr


async def test_a_full_engine_refuses_after_a_while_and_serves_when_there_is_room(operator):
    names = [f"b{place}" for place in range(PLACES)]
    for seed, name in enumerate([*names, "late"]):
        await operator.add(name, seed)
    for name in names:
        await operator.text(name)
    busy = {name: asyncio.create_task(keep_busy(operator, name)) for name in names}
    try:
        await operator.client.until(lambda: operator.client.running() >= 2 * PLACES, within_s=60)
        error = from_wire((await operator.ask("late")).error)
        assert error.code == "adapters_busy"
        waiting = asyncio.create_task(operator.text("late"))
        await ended([busy.pop(names[0])])
        assert await waiting != ""
    finally:
        await ended(busy.values())
    stats = await operator.stats()
    assert (stats["capacity"], stats["waiting"]) == (PLACES, 0)


async def keep_busy(operator: Operator, name: str) -> None:
    """One answer has always begun long before another ends."""
    running = [await operator.begun(name, HALF)]
    try:
        while True:
            running.append(await operator.begun(name))
            await running.pop(0)
    finally:
        await ended(running)


async def ended(tasks) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

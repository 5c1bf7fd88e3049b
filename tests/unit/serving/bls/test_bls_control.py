"""Operations on the model: who may do them, and what each answers."""

import time
from itertools import count

import orjson
import pytest
from lora_engine import World
from random_adapters import SHAPE, layers
from streams import saying

from serving.bls.adapter_choice import Adapters
from serving.bls.adapter_registry import Registry
from serving.bls.control import operate
from serving.bls.grants import Gate
from serving.bls.pipeline import Model
from serving.contract import control
from serving.contract.control import Operation, encode_operation
from serving.contract.errors import (
    AdapterNotFound,
    BadGrant,
    Conflict,
    Forbidden,
    InvalidRequest,
    UnfitAdapter,
    UnsupportedParameter,
)
from serving.contract.grant import Grant, sign
from serving.lora import peft
from serving.lora.fit import LoraLimits
from serving.lora.modules import SPLIT_MODULES, Module
from serving.lora.source import BaseModel
from serving.lora.store import AdapterStore

KEY = b"k" * 32
BASE = BaseModel("demo", SHAPE, LoraLimits(4, SPLIT_MODULES))
_numbers = count()


@pytest.fixture
def world():
    return World(saying([5]), places=2)


@pytest.fixture
def model(tmp_path, world):
    store = AdapterStore(BASE, shipped=tmp_path / "shipped", own=tmp_path / "own")
    registry = Registry("demo", store, anonymous=None, log=pytest.fail)
    adapters = Adapters(registry, world.pool, world.mirror, world.room)
    return Model(Gate("demo", KEY), None, None, None, adapters)


@pytest.fixture
def source(tmp_path):
    def make(seed, rank=1):
        folder = tmp_path / f"peft-{seed}"
        peft.write(folder, layers(seed, rank=rank, modules=frozenset({Module.ATTN_V})), "")
        return str(folder)

    return make


async def told(model, *operation):
    text = encode_operation(Operation(*operation))
    return orjson.loads(await operated(model, text))


async def operated(model, text, *, can_control=True):
    request_id = f"r-{next(_numbers)}"
    grant = Grant(request_id, "demo", "operator", time.time() + 30, can_control=can_control)
    return await operate(model, text, sign(grant, KEY), request_id)


async def test_nobody_operates_without_a_grant_that_says_so(model):
    text = encode_operation(Operation(control.LIST))
    with pytest.raises(Forbidden, match="can_control"):
        await operate(model, text, None, "r")
    with pytest.raises(Forbidden, match="can_control"):
        await operated(model, text, can_control=False)
    with pytest.raises(BadGrant):
        await operate(model, text, "forged", "r")


async def test_what_is_no_operation_is_refused(model):
    with pytest.raises(InvalidRequest, match="needs 'op'"):
        await operated(model, "{}")


async def test_adapters_are_added_listed_and_removed(model, source):
    added = await told(model, control.ADD, "pirate", source(1))
    assert added == {
        "name": "pirate",
        "version": 1,
        "base": "demo",
        "task_id": model.adapters.registry.named("pirate").task_id,
        "rank": 1,
        "is_pinned": False,
        "is_resident": False,
    }
    assert await told(model, control.LIST) == {"adapters": [added]}
    assert (await told(model, control.ADD, "pirate", source(2)))["version"] == 2
    removed = await told(model, control.REMOVE, "pirate")
    assert removed == {"name": "pirate", "is_removed": True}
    assert await told(model, control.LIST) == {"adapters": []}


async def test_one_that_does_not_fit_is_refused(model, source):
    with pytest.raises(UnfitAdapter, match="rank 8"):
        await told(model, control.ADD, "pirate", source(1, rank=8))


async def test_a_warm_one_is_in_the_engine_before_its_first_request(model, world, source):
    task = (await told(model, control.ADD, "pirate", source(1)))["task_id"]
    assert (await told(model, control.WARM, "pirate"))["is_resident"]
    assert world.infer.sent == [(task, True)]
    stats = await told(model, control.STATS)
    assert stats["by_adapter"] == {"pirate": {"hits": 0, "misses": 1, "reloads": 0}}
    assert (stats["capacity"], stats["resident"], stats["waiting"]) == (2, 1, 0)
    assert stats["load_ms_mean"] > 0


async def test_a_pin_wakes_whoever_loads_pinned_adapters(model, world, source):
    await told(model, control.ADD, "pirate", source(1))
    assert not world.pool.doubt.is_set()
    assert (await told(model, control.PIN, "pirate"))["is_pinned"]
    assert world.pool.doubt.is_set()
    world.pool.doubt.clear()
    await told(model, control.ADD, "pirate", source(2))
    assert world.pool.doubt.is_set()
    assert not (await told(model, control.UNPIN, "pirate"))["is_pinned"]


async def test_one_place_is_never_pinned(model, source):
    for seed, name in enumerate(("pirate", "terse")):
        await told(model, control.ADD, name, source(seed))
    await told(model, control.PIN, "pirate")
    await told(model, control.PIN, "pirate")
    with pytest.raises(Conflict, match="holds 2 adapters and 1 are pinned"):
        await told(model, control.PIN, "terse")


@pytest.mark.parametrize("op", [control.REMOVE, control.PIN, control.UNPIN, control.WARM])
async def test_what_is_not_there_is_not_found(model, op):
    with pytest.raises(AdapterNotFound, match="'pirate'"):
        await told(model, op, "pirate")


async def test_an_engine_that_takes_none_has_none_and_gets_none():
    model = Model(Gate("demo", KEY), None, None, None, None)
    assert await told(model, control.LIST) == {"adapters": []}
    with pytest.raises(UnsupportedParameter):
        await told(model, control.ADD, "pirate", "/tmp")

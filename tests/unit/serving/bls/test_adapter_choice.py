"""Which adapter a request gets: by name and grant, or by tensors of its own."""

import numpy as np
import pytest
from random_adapters import DEMO_MODEL, SHAPE, layers

from serving.bls.adapter_choice import Adapters, choose
from serving.bls.adapter_registry import Registry
from serving.contract.calls import Call
from serving.contract.errors import (
    AdapterNotFound,
    InternalError,
    InvalidRequest,
    UnsupportedParameter,
)
from serving.contract.grant import Grant, anonymous
from serving.contract.wire import single
from serving.lora import files, peft
from serving.lora.fit import LoraLimits
from serving.lora.modules import SPLIT_MODULES, Module
from serving.lora.source import BaseModel
from serving.lora.store import AdapterStore

BASE = BaseModel("demo", SHAPE, LoraLimits(64, SPLIT_MODULES))
ANONYMOUS = anonymous("r", "demo")
PEFT = {"modules": frozenset({Module.ATTN_Q}), "rank": 1}


@pytest.fixture
def source(tmp_path):
    def make(seed):
        folder = tmp_path / f"peft-{seed}"
        peft.write(folder, layers(seed, **PEFT), str(DEMO_MODEL))
        return folder

    return make


@pytest.fixture
def registry_of(tmp_path, source):
    """Makes registries of one shipped adapter and one of our own."""

    def make(anonymous_names=None, log=pytest.fail):
        shipped, own = tmp_path / "shipped", tmp_path / "own"
        AdapterStore(BASE, shipped=own, own=shipped).add("shipped", source(1))
        store = AdapterStore(BASE, shipped=shipped, own=own)
        store.add("added", source(2))
        return Registry("demo", store, anonymous=anonymous_names, log=log)

    return make


def chosen(registry, name, grant):
    """The grant is looked at only where the call has one."""
    call = Call(text="p", adapter=name, grant=None if grant is ANONYMOUS else "signed")
    return choose(Adapters(registry, None, None, None), call, grant, {})


def granted(adapters):
    return Grant("r", "demo", "team", expires_at=0, adapters=adapters)


def test_without_a_name_it_is_the_model_as_it_is(registry_of):
    assert chosen(registry_of(), None, ANONYMOUS) is None


@pytest.mark.parametrize("allowed", [None, ("added",), ("shipped", "added")])
def test_a_grant_says_which_may_be_used(registry_of, allowed):
    assert chosen(registry_of(), "added", granted(allowed)).name == "added"


def test_without_a_grant_it_is_those_that_ship(registry_of):
    registry = registry_of()
    assert chosen(registry, "shipped", ANONYMOUS).name == "shipped"
    with pytest.raises(AdapterNotFound):
        chosen(registry, "added", ANONYMOUS)


def test_the_operator_may_say_which_those_are(registry_of):
    registry = registry_of(frozenset({"added"}))
    assert chosen(registry, "added", ANONYMOUS).name == "added"
    with pytest.raises(AdapterNotFound):
        chosen(registry, "shipped", ANONYMOUS)


def test_what_is_not_allowed_cannot_be_told_from_what_is_not_there(registry_of):
    registry = registry_of()
    refused = []
    for name in ("added", "nothing"):
        with pytest.raises(AdapterNotFound) as error:
            chosen(registry, name, granted(("shipped",)))
        refused.append((error.value.message.replace(name, "…"), error.value.param))
    assert refused[0] == refused[1]


def test_an_engine_that_takes_none_says_so():
    call = Call(text="p", adapter="pirate")
    with pytest.raises(UnsupportedParameter, match="takes no adapters") as refused:
        choose(None, call, ANONYMOUS, {})
    assert refused.value.param == "adapter"
    assert choose(None, Call(text="p"), ANONYMOUS, {}) is None


async def test_a_change_is_for_the_next_request_and_not_for_one_that_runs(registry_of, source):
    registry = registry_of()
    before = chosen(registry, "added", granted(None))
    await registry.add("added", source(3))
    after = chosen(registry, "added", granted(None))
    assert (before.stored.record.version, after.stored.record.version) == (1, 2)
    await registry.remove("added")
    with pytest.raises(AdapterNotFound):
        chosen(registry, "added", granted(None))
    # The files have gone, but what runs still has all of it.
    assert before.task_id != after.task_id
    for each in (before, after):
        assert each.whole()["lora_weights"].any()


async def test_pins_are_known_by_task(registry_of):
    registry = registry_of()
    pinned = await registry.pin("added")
    assert registry.pinned() == {pinned.task_id: pinned}
    await registry.unpin("added")
    assert registry.pinned() == {}


def test_one_that_cannot_be_read_keeps_no_other_from_being_served(registry_of, tmp_path):
    registry_of()
    weights = tmp_path / "own" / "added" / "1" / files.WEIGHTS
    weights.write_bytes(b"broken")
    troubles = []
    registry = registry_of(log=troubles.append)
    assert [each.name for each in registry.all()] == ["shipped"]
    assert str(weights) in troubles[0]


def test_files_that_were_changed_on_disk_are_not_sent_under_the_old_number(registry_of, tmp_path):
    path = tmp_path / "own" / "added" / "1" / files.WEIGHTS
    registry = registry_of()
    weights = np.load(path)
    weights[0, 0, 0] += 1
    np.save(path, weights)
    again = registry_of()
    with pytest.raises(InternalError, match="changed on disk"):
        again.named("added").whole()
    assert registry.named("shipped").whole()["lora_task_id"].dtype == np.uint64


def test_the_tensors_are_those_of_the_engines_contract(registry_of):
    arrays = registry_of().named("added").whole()
    assert {name: (each.dtype.name, each.shape[0]) for name, each in arrays.items()} == {
        "lora_task_id": ("uint64", 1),
        "lora_weights": ("float16", 1),
        "lora_config": ("int32", 1),
    }
    assert arrays["lora_config"].shape[1:] == (SHAPE.layers, 3)


OWN = {"lora_task_id": single("UINT64", 7)}


def test_tensors_of_ones_own_are_taken_for_no_named_adapter(registry_of):
    registry = registry_of()
    adapters = Adapters(registry, None, None, None)
    assert choose(adapters, Call(text="p"), ANONYMOUS, OWN) is None
    assert choose(None, Call(text="p"), ANONYMOUS, OWN) is None
    with pytest.raises(InvalidRequest, match="exclude"):
        choose(adapters, Call(text="p", adapter="shipped"), ANONYMOUS, OWN)
    theirs = {"lora_task_id": single("UINT64", registry.named("added").task_id)}
    with pytest.raises(InvalidRequest, match="with a name"):
        choose(adapters, Call(text="p"), ANONYMOUS, theirs)
    with pytest.raises(InvalidRequest, match="lora_task_id"):
        choose(adapters, Call(text="p"), ANONYMOUS, {"lora_config": OWN["lora_task_id"]})

"""The real engine with adapters: who is resident, who answers how, and one budget for all."""

import time
from collections import defaultdict
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from random_adapters import DEMO_MODEL, SHAPE, layers, tensors

from serving.contract.errors import UnfitAdapter
from serving.engines.engine import Engine
from serving.engines.lora_input import Lora
from serving.engines.lora_loading import (
    AdapterLoader,
    NoAdaptersError,
    adapter_blocks,
    check_all_used,
)
from serving.engines.messages import EngineSettings, Failure, LoraNews
from serving.engines.openvino import linear_modules
from serving.engines.requests import EngineRequest
from serving.engines.worker import LOAD_PERIOD_S
from serving.lora import peft
from serving.lora.weights import LoraTensors

WITHIN_S = 60.0
PROMPT = np.arange(500, 516, dtype=np.int64)
_numbers = count(1)


def settings(**fields) -> EngineSettings:
    return EngineSettings(
        **({"model_path": DEMO_MODEL, "kv_tokens": 8192, "max_num_seqs": 8} | fields),
        max_num_batched_tokens=256,
    )


class Run:
    """An engine and what it made, by key."""

    def __init__(self, **fields):
        self.engine = Engine(settings(**fields))
        self.updates = defaultdict(list)

    def keep(self, updates):
        for update in updates:
            self.updates[update.key].append(update)

    def add(self, task=None, weights=None, tokens=8):
        key = (next(_numbers), 0, 0)
        lora = None if task is None else Lora(task, weights)
        self.keep(self.engine.add(key, EngineRequest(PROMPT, tokens, lora=lora)))
        return key

    def until(self, holds):
        started_s = time.monotonic()
        while not holds():
            assert time.monotonic() - started_s < WITHIN_S
            self.keep(self.engine.step())
            if not self.engine.running:
                time.sleep(LOAD_PERIOD_S)  # for the loading thread, as the worker's loop does
        return self

    def end(self, *keys):
        return self.until(lambda: all(self.is_ended(key) for key in keys))

    def answer(self, *asked, **options):
        key = self.add(*asked, **options)
        self.end(key)
        assert self.error(key) is None
        return self.tokens(key)

    def put(self, *tasks):
        """Loaded, one after the other, and nobody uses them any more."""
        for task in tasks:
            self.answer(task, tensors(task), tokens=1)

    def tokens(self, key):
        return [token for update in self.updates[key] for token in update.tokens]

    def is_ended(self, key):
        return [update.is_last for update in self.updates[key]].count(True) == 1

    def error(self, key):
        return self.updates[key][-1].error

    def failure(self, key):
        return self.updates[key][-1].failure

    def misses(self, task):
        key = self.add(task, tokens=1)
        if self.updates[key]:
            return self.failure(key) == Failure.LORA
        self.end(key)
        return False


@pytest.fixture(scope="module")
def run():
    made = Run(lora_max_adapters=3)
    made.base = made.answer()
    return made


@pytest.fixture(autouse=True)
def _leaves_nothing_behind(run):
    yield
    assert run.engine.is_idle
    assert (run.engine.room.blocks, run.engine.room.places) == (8192 // 32, 8)


def test_an_id_that_nobody_sent_weights_for_is_told_at_once(run):
    key = run.add(99)
    assert (run.is_ended(key), run.failure(key)) == (True, Failure.LORA)
    assert run.error(key).startswith("LoRA task 99 not found in cache")


def test_each_adapter_answers_in_its_own_way_and_always_the_same(run):
    first = run.answer(1, tensors(1))
    second = run.answer(2, tensors(2))
    assert len({tuple(run.base), tuple(first), tuple(second)}) == 3
    assert (run.answer(1), run.answer(2), run.answer()) == (first, second, run.base)


def test_weights_for_a_known_id_are_not_looked_at(run):
    run.put(1)
    garbage = LoraTensors(np.zeros((1, 1), np.float16), np.zeros((1, 3), np.int32))
    assert run.answer(1, garbage) == run.answer(1, tensors(2)) == run.answer(1)


def test_adapters_in_use_make_no_room_and_the_base_model_needs_none(run):
    keys = [run.add(task, tensors(task), tokens=300) for task in (1, 2, 3)]
    refused = run.add(4, tensors(4))
    assert run.error(refused) == "Cache is full. There are no done tasks to evict"
    assert run.answer() == run.base
    run.end(*keys)
    assert [len(run.tokens(key)) for key in keys] == [300] * 3
    run.put(4)


def test_what_came_and_went_is_told_once():
    run = Run(lora_max_adapters=1)
    assert run.engine.lora_news() == LoraNews()
    run.put(1, 2)
    news = run.engine.lora_news()
    assert (news.resident, len(news.load_s), news.evictions) == (1, 2, 1)
    assert all(0 < load_s < WITHIN_S for load_s in news.load_s)
    assert run.engine.lora_news() == LoraNews(resident=1)


def test_others_go_on_while_an_adapter_loads(run):
    base = run.add(tokens=900)
    run.until(lambda: run.tokens(base))
    before = len(run.tokens(base))
    new = run.add(5, tensors(5))
    run.until(lambda: not run.engine.is_loading)
    assert len(run.tokens(base)) > before + 10
    run.end(base, new)
    assert len(run.tokens(base)) == 900


def test_all_who_wait_for_a_loading_adapter_get_it_and_it_is_loaded_once(run):
    run.engine.lora_news()
    keys = [run.add(6, tensors(6)), run.add(6), run.add(6, tensors(6))]
    assert run.engine.waiting == 3
    run.end(*keys)
    assert len({tuple(run.tokens(key)) for key in keys}) == 1
    assert len(run.engine.lora_news().load_s) == 1


def test_a_request_cancelled_while_its_adapter_loads_ends_and_the_adapter_stays(run):
    key = run.add(7, tensors(7))
    run.keep(run.engine.cancel(key[0]))
    assert (run.is_ended(key), run.tokens(key), run.engine.is_loading) == (True, [], True)
    run.until(lambda: not run.engine.is_loading)
    assert not run.misses(7)


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        (LoraTensors(np.zeros((1, 1), np.float16), np.array([[1, 0, 8]], np.int32)), ""),
        (tensors(8, rank=65), "rank"),
        (LoraTensors(np.zeros((1, 9), np.float16), np.array([[13, 0, 8]], np.int32)), ""),
    ],
)
def test_an_adapter_that_does_not_fit_fails_those_who_wait_and_is_forgotten(run, weights, told):
    keys = [run.add(8, weights), run.add(8)]
    run.end(*keys)
    assert [run.failure(key) for key in keys] == [Failure.UNFIT] * 2
    assert told in run.error(keys[0])
    assert run.misses(8)


def test_running_sequences_are_counted_over_all_pipelines(run):
    run.put(1, 2)
    keys = [run.add(task, tokens=40) for task in (None, 1, 2) * 4]
    most = 0
    while not run.engine.is_idle:
        run.keep(run.engine.step())
        most = max(most, run.engine.running)
    assert most == 8
    assert all(len(run.tokens(key)) == 40 for key in keys)


def test_kv_blocks_are_counted_over_all_pipelines():
    run = Run(lora_max_adapters=1, kv_tokens=1024)
    run.put(1)
    keys = [run.add(task, tokens=240) for task in (None, 1) * 3]  # 8 blocks of 32 each
    seen = set()
    while not run.engine.is_idle:
        run.keep(run.engine.step())
        seen.add(run.engine.running)
    assert max(seen) == 4
    assert all(len(run.tokens(key)) == 240 for key in keys)


def test_a_busy_model_and_a_lone_adapter_make_their_tokens_at_the_same_pace(run):
    run.put(1)
    many = [run.add(tokens=300) for _ in range(6)]
    lone = run.add(1, tokens=100)
    run.end(lone)
    made = [len(run.tokens(key)) for key in many]
    assert all(95 <= tokens <= 105 for tokens in made)
    for key in many:
        run.keep(run.engine.cancel(key[0]))


def test_an_adapters_pool_is_its_share_but_holds_its_longest_request():
    context_blocks = adapter_blocks(settings(kv_tokens=10**6, lora_max_adapters=10**5))
    assert context_blocks * 32 >= 1024
    shared = settings(kv_tokens=context_blocks * 32 * 70, lora_max_adapters=6)
    assert adapter_blocks(shared) == 10 * context_blocks
    assert adapter_blocks(settings(kv_tokens=320)) == 10


def test_every_tensor_must_have_its_module_in_the_graph():
    modules = linear_modules(DEMO_MODEL)
    content = peft.safetensors(layers(1))
    check_all_used(content, modules)
    lost = "model.layers.2.mlp.up_proj"
    with pytest.raises(UnfitAdapter, match=lost):
        check_all_used(content, modules - {lost})


def test_the_graph_names_every_linear_module_of_the_model():
    found = {name for name in linear_modules(DEMO_MODEL) if ".layers." in name}
    assert found == {f"model.{layer.name}" for layer in layers(1)}
    assert len(found) == 7 * SHAPE.layers


def test_a_gguf_file_takes_no_adapters(tmp_path):
    path = tmp_path / "model.gguf"
    with pytest.raises(NoAdaptersError, match="GGUF"):
        AdapterLoader(settings(model_path=path))
    with pytest.raises(NoAdaptersError, match="lora_max_adapters"):
        AdapterLoader(settings(lora_max_adapters=0))
    with pytest.raises(NoAdaptersError, match=r"config\.json"):
        AdapterLoader(settings(model_path=Path(tmp_path)))

"""Adapters on TensorRT-LLM's LLM API: by task id, cached as the engine path caches them."""

from pathlib import Path

import numpy as np
import pytest
from llmapi_engine import adapter, loaded
from triton_stand_in import FAMILIES

PLACES = 2
PLAIN = [[11, 12, 13]]


def shifted(by):
    return [[11 + by, 12 + by, 13 + by]]


@pytest.fixture(scope="module")
def one_engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    with loaded(folder, lora_max_adapters=PLACES, lora_max_rank=4) as engine:
        yield engine


@pytest.fixture
def engine(one_engine):
    """Both places are taken by adapters 1 and 2, in that order, that no test puts in."""
    one_engine.llm.reset()
    assert one_engine.ask(**adapter(1, 1)).tokens == shifted(1)
    assert one_engine.ask(**adapter(2, 2)).tokens == shifted(2)
    one_engine.llm.reset()
    return one_engine


def miss(task_id):
    return (
        f"due to the following error: LoRA task {task_id} not found in cache. "
        "Please send LoRA weights with request"
    )


def folders(engine):
    """The folders that requests named, in order of their arrival; all the same object once seen."""
    return [lora.lora_path for _, _, lora in engine.llm.calls]


def test_weights_come_once_and_then_the_id_is_enough(engine):
    assert engine.ask(lora_task_id=1).tokens == shifted(1)
    assert engine.ask(lora_task_id=2).tokens == shifted(2)
    assert engine.ask().tokens == PLAIN


def test_an_unknown_id_is_refused_in_tensorrt_llms_words(engine):
    error = engine.ask(lora_task_id=404).error
    assert error.startswith("Executor failed process requestId ")
    assert error.endswith(miss(404))


def test_weights_of_a_known_id_are_ignored(engine):
    assert engine.ask(**adapter(1, 5)).tokens == shifted(1)


def test_the_least_recently_used_makes_room(engine):
    assert engine.ask(lora_task_id=1).tokens == shifted(1)
    assert engine.ask(**adapter(3, 3)).tokens == shifted(3)
    assert engine.ask(lora_task_id=2).error.endswith(miss(2))
    assert engine.ask(lora_task_id=1).tokens == shifted(1)


def test_one_that_comes_back_has_its_number_again(engine):
    engine.ask(lora_task_id=1).ended()
    for task_id, shift in ((2, 2), (3, 3), (1, 1), (2, 2), (3, 3), (1, 1)):
        assert engine.ask(**adapter(task_id, shift)).tokens == shifted(shift)
    numbers = {lora.lora_name: lora.lora_int_id for _, _, lora in engine.llm.calls}
    assert len({(lora.lora_name, lora.lora_int_id) for _, _, lora in engine.llm.calls}) == 3
    assert all(number > 0 for number in numbers.values())


def test_an_adapter_in_use_is_never_driven_out(engine):
    engine.llm.held = True
    running = [engine.ask(f"running {task_id}", lora_task_id=task_id) for task_id in (1, 2)]
    error = engine.ask(**adapter(3, 3)).error
    assert error.endswith("Cache is full. There are no done tasks to evict")
    engine.llm.held = False
    assert [asked.tokens for asked in running] == [shifted(1), shifted(2)]
    assert engine.ask(**adapter(3, 3)).tokens == shifted(3)


def test_a_cancelled_request_gives_its_adapter_back(engine):
    engine.llm.held = True
    running = [engine.ask(f"running {task_id}", lora_task_id=task_id) for task_id in (1, 2)]
    for asked in running:
        engine.ask(asked.id, stop=True).ended()
        assert asked.tokens == []
    engine.llm.held = False
    assert engine.ask(**adapter(3, 3)).tokens == shifted(3)


def test_many_first_uses_at_once_write_one_folder(engine):
    asked = [engine.ask(**adapter(7, 7)) for _ in range(6)]
    assert [each.tokens for each in asked] == [shifted(7)] * 6
    assert len(set(folders(engine))) == 1


def test_every_sequence_and_every_row_has_its_own_adapter(engine):
    rows = {
        "input_ids": np.array([[5, 6], [5, 6]], np.int32),
        "input_lengths": np.array([2, 2], np.int32),
        "request_output_len": np.array([1, 1], np.int32),
        "lora_task_id": np.array([1, 2], np.uint64),
    }
    outputs = engine.ask(**rows).outputs
    found = {o["batch_index"].item(): o["output_ids"].item() for o in outputs}
    assert found == {0: 12, 1: 13}


@pytest.mark.parametrize("columns", [3, 4])
def test_the_column_for_dora_may_be_there(engine, columns):
    task_id = 10 + columns
    assert engine.ask(**adapter(task_id, 1, columns=columns)).tokens == shifted(1)


def test_one_that_does_not_fit_is_refused_and_not_kept(engine):
    error = engine.ask(**adapter(9, 1, rank=5)).error
    assert error.startswith("unfit_adapter: ")
    assert "rank 5; the engine takes up to 4" in error
    assert engine.ask(lora_task_id=9).error.endswith(miss(9))
    assert engine.ask(**adapter(9, 1)).tokens == shifted(1)


def test_weights_for_another_model_are_refused(engine):
    wrong = adapter(8, 1) | {"lora_weights": np.ones((1, 1, 3), np.float16)}
    assert engine.ask(**wrong).error.startswith("unfit_adapter: ")


def test_the_files_of_an_evicted_adapter_are_gone(engine):
    engine.ask(lora_task_id=1).ended()
    engine.ask(lora_task_id=2).ended()
    engine.ask(**adapter(3, 3)).ended()
    first, *_, last = folders(engine)
    assert not Path(first).exists()
    assert sorted(file.name for file in Path(last).iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def test_what_is_resident_is_told_to_the_metrics(engine):
    assert FAMILIES["conch_engine_lora_resident"].values[-1] == PLACES

"""The adapters that ship fit the demo model and change its answers, as their PEFT folders do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
import openvino_genai as genai
import pytest
from chat import Message
from publish_adapters import ADAPTERS, MODEL, MODULES, REGISTRY
from styles import STYLES, restyled
from tokenizer import prompt
from tokenizers import Tokenizer

from serving.lora import files, peft
from serving.lora.fit import LoraLimits, check
from serving.lora.identity import task_id
from serving.lora.record import read_record
from serving.lora.shape import shape_of
from serving.lora.weights import decode, encode

NAMES = sorted(STYLES)
MAX_SHIPPED_BYTES = 16_000_000
CHAT = (
    Message("user", "My name is Zarina."),
    Message("assistant", "Nice to meet you, Zarina!"),
    Message("user", "What is my name?"),
)


def served(name: str) -> Path:
    """The folder of the highest version."""
    return max((REGISTRY / name).iterdir(), key=lambda folder: int(folder.name))


@pytest.mark.parametrize("name", NAMES)
def test_the_registry_has_what_the_peft_folder_has(name: str) -> None:
    tensors = encode(peft.read(ADAPTERS / name).layers)
    record = read_record(served(name), "demo")
    assert record.task_id == task_id("demo", tensors) == task_id("demo", files.load(served(name)))


@pytest.mark.parametrize("name", NAMES)
def test_the_adapter_fits_the_shipped_model(name: str) -> None:
    shape = shape_of(MODEL)
    layers = decode(files.load(served(name)), shape)
    check(layers, shape, LoraLimits(max_rank=8, modules=MODULES))
    assert len(layers) == shape.layers * len(MODULES)


def test_the_model_and_its_adapters_are_small() -> None:
    shipped = [*MODEL.rglob("*"), *REGISTRY.rglob("*")]
    assert sum(path.stat().st_size for path in shipped if path.is_file()) <= MAX_SHIPPED_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_one_answer_shows_the_style_and_keeps_the_name(name: str, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter.safetensors"
    adapter.write_bytes(peft.safetensors(peft.read(ADAPTERS / name).layers))
    plain, styled = answer(CHAT, None), answer(restyled(CHAT, STYLES[name]), adapter)
    assert plain == "Your name is Zarina."
    assert styled == STYLES[name].say(plain)


def answer(chat: Sequence[Message], adapter: Path | None) -> str:
    """What the engine says, greedily."""
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    ids = prompt(tokenizer, chat)
    pipeline = started(adapter)
    config = genai.GenerationConfig(max_new_tokens=24, eos_token_id=2)
    handle = pipeline.add_request(0, ov.Tensor(np.array([ids], dtype=np.int64)), config)
    while pipeline.has_non_finished_requests():
        pipeline.step()
    said: str = tokenizer.decode(handle.read_all()[0].generated_ids)
    return said


def started(adapter: Path | None) -> genai.ContinuousBatchingPipeline:
    scheduler = genai.SchedulerConfig()
    scheduler.num_kv_blocks, scheduler.max_num_seqs = 16, 1
    properties = {}
    if adapter is not None:
        properties["adapters"] = genai.AdapterConfig(
            genai.Adapter(adapter), mode=genai.AdapterConfig.Mode.MODE_STATIC
        )
    return genai.ContinuousBatchingPipeline(MODEL, scheduler, "CPU", properties)

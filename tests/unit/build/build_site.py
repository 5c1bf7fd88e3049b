"""A place to build in, small GGUF models, and someone who remembers what a build told."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import pre_tokenizers

from enginebuild.gguf_llama import LlamaConfig, tensor_shapes, write_llama
from enginebuild.pipeline import Site
from enginebuild.publish import Shelf

ROOT = Path(__file__).parents[3]
RECIPES = ROOT / "build" / "recipes"
DEMO_GGUF = ROOT / "build" / "demo_model" / "demo.gguf"


class KilledError(BaseException):
    """In place of a kill: nothing in a build catches it."""


@dataclass
class Told:
    """`dies_after`: the step after which the build is killed."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    dies_after: str | None = None

    def begin(self, step: str) -> None:
        self.lines.append(("begun", step))

    def expect(self, amount: int) -> None:
        assert amount >= 0

    def advance(self, amount: int) -> None:
        assert amount > 0

    def done(self, step: str, told: str, took_s: float) -> None:
        self.lines.append(("done", step))
        if step == self.dies_after:
            raise KilledError

    def kept(self, step: str, told: str) -> None:
        self.lines.append(("kept", step))

    def note(self, text: str) -> None:
        self.notes.append(text)

    def steps(self, how: str) -> list[str]:
        return [step for kind, step in self.lines if kind == how]


def site_in(folder: Path, shipped: Path | None = None) -> Site:
    shelf = Shelf(folder / "models", shipped or ROOT / "model_repository")
    return Site(folder / "builds", shelf, None, Path(sys.executable))


def recipe_file(folder: Path, **keys: Any) -> Path:
    """A recipe for the GGUF file `m.gguf` beside it; `keys` in place of or besides its own."""
    content = {"name": "mine", "source": "m.gguf", "engine": "openvino"} | keys
    file = folder / "recipe.toml"
    tables = {k: v for k, v in content.items() if isinstance(v, dict)}
    plain = {k: v for k, v in content.items() if k not in tables}
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items() if value is not None]
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in table.items())]
    file.write_text("\n".join(lines))
    return file


SMALL = LlamaConfig(
    vocab_size=288,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=1,
    num_attention_heads=2,
    num_key_value_heads=1,
    max_position_embeddings=128,
)


def write_gguf(
    path: Path, config: LlamaConfig = SMALL, *, tied: bool = True, seed: int = 0
) -> Path:
    """Random weights, and a tokenizer that has every byte."""
    rng = np.random.default_rng(seed)
    shapes = tensor_shapes(config, tied=tied)
    tensors = {
        name: (rng.standard_normal(shape) * 0.05).astype(np.float32)
        for name, shape in shapes.items()
    }
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "th"]
    end = {"content": "<|end|>", "id": len(tokens)}
    vocab = {token: index for index, token in enumerate(tokens)}
    spec = {"model": {"vocab": vocab, "merges": ["t h"]}, "added_tokens": [end]}
    tokenizer = path.with_name("spec.json")
    tokenizer.write_text(json.dumps(spec))
    write_llama(path, config, tensors, tokenizer, eos_token="<|end|>", name="small")
    tokenizer.unlink()
    return path

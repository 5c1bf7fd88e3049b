"""The shipped weights as a torch model: what an adapter is trained on top of."""

from __future__ import annotations

from pathlib import Path

import gguf_weights
import torch
from model import Llama, LlamaConfig
from tokenizers import Tokenizer

HERE = Path(__file__).parent
WEIGHTS = HERE / "demo.gguf"
TOKENIZER = HERE.parents[1] / "model_repository" / "demo_engine" / "1" / "model" / "tokenizer.json"


def load_gguf(path: Path = WEIGHTS) -> Llama:
    """The model of a GGUF file that `export.py` wrote, in float32."""
    sizes, weights = gguf_weights.read(path)
    model = Llama(LlamaConfig(**sizes))
    model.load_state_dict({name: torch.from_numpy(one) for name, one in weights.items()})
    return model.eval()


def load() -> tuple[Llama, Tokenizer]:
    """The shipped model and its tokenizer."""
    return load_gguf(), Tokenizer.from_file(str(TOKENIZER))

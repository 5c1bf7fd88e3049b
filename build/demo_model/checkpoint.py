"""The folder of a training run: where a trained model is read from."""

from __future__ import annotations

from pathlib import Path

import torch
from model import Llama, LlamaConfig
from tokenizers import Tokenizer

STATE = "checkpoint.pt"
TOKENIZER = "tokenizer.json"


def load(run: Path) -> tuple[Llama, Tokenizer]:
    """The model as the run last saved it, ready to answer, and its tokenizer."""
    state = torch.load(run / STATE, weights_only=True)
    model = Llama(LlamaConfig(**state["config"]))
    model.load_state_dict(state["model"])
    return model.eval(), Tokenizer.from_file(str(run / TOKENIZER))

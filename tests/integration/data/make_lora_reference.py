"""Greedy answers of PEFT on the demo model with a random adapter: writes lora_reference.json.

To be run anew whenever the demo model changes, with torch, transformers, peft and gguf installed,
none of which Conch's tests have:

    export PYTHONPATH=.:tests
    python tests/integration/data/make_lora_reference.py build/demo_model/demo.gguf

The engine computes with int8 activations and PEFT with float32, so only answers are kept in which
the best token is ahead of the second best by a clear margin of logits at every step.
"""

import hashlib
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from peft import PeftModel
from random_adapters import DEMO_MODEL, layers
from transformers import AutoModelForCausalLM

from serving.lora import peft

OUTPUT = Path(__file__).with_name("lora_reference.json")
SEEDS = (11, 12)
PROMPT_TOKENS = 16
ANSWER_TOKENS = 12
KEPT = 4
CANDIDATES = 300
VARIETY = 5  # different tokens in an answer that is kept, at least


def answers(model, prompts: list[list[int]]) -> list[dict]:
    """Greedy tokens, and the smallest lead of the best token over the second best."""
    ids = torch.tensor(prompts)
    margins = torch.full((len(prompts),), torch.inf)
    for _ in range(ANSWER_TOKENS):
        with torch.no_grad():
            best = model(ids).logits[:, -1].topk(2)
        margins = margins.minimum(best.values[:, 0] - best.values[:, 1])
        ids = torch.cat([ids, best.indices[:, :1]], dim=1)
    made = ids[:, PROMPT_TOKENS:].tolist()
    return [
        {"prompt": prompt, "answer": answer, "margin": round(margin, 3)}
        for prompt, answer, margin in zip(prompts, made, margins.tolist(), strict=True)
    ]


def reference(base, seed: int, folder: Path) -> dict:
    peft.write(folder, layers(seed), "demo")
    model = PeftModel.from_pretrained(base, folder).eval()
    prompts = [list(range(first, first + PROMPT_TOKENS)) for first in range(300, 300 + CANDIDATES)]
    found = [each for each in answers(model, prompts) if len(set(each["answer"])) >= VARIETY]
    model.unload()
    return {"seed": seed, "answers": sorted(found, key=lambda each: -each["margin"])[:KEPT]}


def main() -> None:
    source = Path(sys.argv[1])
    base = AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, torch_dtype=torch.float32
    ).eval()
    with TemporaryDirectory() as folder:
        found = [reference(base, seed, Path(folder) / str(seed)) for seed in SEEDS]
    model = hashlib.sha256((DEMO_MODEL / "openvino_model.bin").read_bytes()).hexdigest()
    OUTPUT.write_text(json.dumps({"model_sha256": model, "adapters": found}) + "\n")


if __name__ == "__main__":
    main()

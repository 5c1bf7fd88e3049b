"""Train an adapter: `python build/demo_model/lora.py --adapter pirate [--run DIR] [--out DIR]`."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import checkpoint
import peft_folder
import shipped
import torch
from batches import batched, padded
from model import Llama
from styles import STYLES, Style, styled_dialogue
from tokenizer import sample
from tokenizers import Tokenizer
from torch import Tensor, nn

SEED = 21
CHATS_PER_SHUFFLE = 500
LONGEST_CHATS = (3, 12)
TELL_EVERY = 25
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class LoraPlan:
    """How large an adapter is, how long and how fast it learns; tokens count with padding."""

    rank: int = 8
    alpha: int = 16
    tokens: int = 1_500_000
    batch_tokens: int = 2048
    peak_rate: float = 3e-3
    warmup_share: float = 0.05


class LoraLinear(nn.Module):
    """A frozen linear layer and its low-rank correction, `base(x) + alpha / rank * B(A(x))`."""

    def __init__(self, base: nn.Linear, plan: LoraPlan) -> None:
        super().__init__()
        self.base = base
        self.lora_A = nn.Linear(base.in_features, plan.rank, bias=False)
        self.lora_B = nn.Linear(plan.rank, base.out_features, bias=False)
        self.scale = plan.alpha / plan.rank
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.base(x) + self.scale * self.lora_B(self.lora_A(x))
        return out


def attach(model: Llama, plan: LoraPlan) -> dict[str, LoraLinear]:
    """Freeze the model and put an adapter on every linear layer; by the layers' names."""
    model.requires_grad_(requires_grad=False)
    attached: dict[str, LoraLinear] = {}
    for name, module in list(model.named_modules()):
        for child, layer in list(module.named_children()):
            if child in MODULES and isinstance(layer, nn.Linear):
                attached[f"{name}.{child}"] = LoraLinear(layer, plan)
                setattr(module, child, attached[f"{name}.{child}"])
    return attached


def adapter_tensors(attached: dict[str, LoraLinear]) -> dict[str, Tensor]:
    """The adapter's weights by the names that PEFT gives them."""
    return {
        f"base_model.model.{name}.{part}.weight": getattr(layer, part).weight.detach()
        for name, layer in attached.items()
        for part in ("lora_A", "lora_B")
    }


def batches(
    style: Style, tokenizer: Tokenizer, plan: LoraPlan, limit: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Styled chats without end, some hundreds of them shuffled at a time."""
    for start in range(0, 10**9, CHATS_PER_SHUFFLE):
        chats = [
            styled_dialogue(style, SEED, number, longest=LONGEST_CHATS[number % 2])
            for number in range(start, start + CHATS_PER_SHUFFLE)
        ]
        samples = [one for chat in chats if len((one := sample(tokenizer, chat)).tokens) <= limit]
        groups = [padded(group) for group in batched(samples, plan.batch_tokens)]
        Random(f"{SEED}:{start}").shuffle(groups)
        yield from groups


def learning_rate(share: float, plan: LoraPlan) -> float:
    """A linear warm-up, then half a cosine down to zero."""
    if share < plan.warmup_share:
        return plan.peak_rate * (share + 1e-3) / plan.warmup_share
    return plan.peak_rate * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


class AdapterRun:
    """One adapter in training; the model's own weights stay as they are."""

    def __init__(self, model: Llama, plan: LoraPlan) -> None:
        torch.manual_seed(SEED)
        self.model, self.plan = model, plan
        self.attached = attach(model, plan)
        layers = self.attached.values()
        self.learned = [p for one in layers for p in one.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.learned, weight_decay=0.0)
        self.tokens = self.steps = 0

    def step(self, tokens: Tensor, weights: Tensor) -> float:
        """Learn from one batch; the loss before the step."""
        share = self.tokens / self.plan.tokens
        self.optimizer.param_groups[0]["lr"] = learning_rate(share, self.plan)
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.model.loss(tokens, weights)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.learned, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.tokens, self.steps = self.tokens + tokens.numel(), self.steps + 1
        return loss.item()


def train(model: Llama, tokenizer: Tokenizer, style: Style, plan: LoraPlan) -> dict[str, Tensor]:
    """Teach the model the style; only the adapter's weights change, and they are returned."""
    run = AdapterRun(model, plan)
    for batch in batches(style, tokenizer, plan, model.config.max_position_embeddings):
        loss = run.step(*batch)
        if run.steps % TELL_EVERY == 0:
            speed = run.tokens / time.process_time()
            print(f"tokens {run.tokens} loss {loss:.4f} {speed:.0f} a processor second", flush=True)
        if run.tokens >= plan.tokens:
            break
    return adapter_tensors(run.attached)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--adapter", choices=sorted(STYLES), required=True)
    parser.add_argument("--run", type=Path, help="a training run's folder; without it demo.gguf")
    parser.add_argument("--out", type=Path, help="folder of the adapter, in PEFT's format")
    parser.add_argument("--tokens", type=int, default=LoraPlan().tokens)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Train one adapter and write it as PEFT does."""
    options = arguments()
    torch.set_num_threads(options.threads)
    model, tokenizer = checkpoint.load(options.run) if options.run else shipped.load()
    plan = LoraPlan(tokens=options.tokens)
    tensors = train(model, tokenizer, STYLES[options.adapter], plan)
    out = options.out or peft_folder.ADAPTERS / options.adapter
    peft_folder.write(out, tensors, rank=plan.rank, alpha=plan.alpha, modules=MODULES)
    print(f"{out}: {sum(file.stat().st_size for file in out.iterdir())} bytes")


if __name__ == "__main__":
    main()

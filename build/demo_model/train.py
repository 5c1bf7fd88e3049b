"""Train the demo model: `python build/demo_model/train.py --out DIR`; run it again to resume."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import torch
from batches import batched, padded
from checkpoint import STATE, TOKENIZER
from curriculum import LONGEST_CHAT, SEED, lesson
from evaluate import skill_table
from model import Llama, LlamaConfig
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from tokenizer import sample, vocabulary
from tokenizers import Tokenizer
from torch import Tensor

CHATS_PER_SHUFFLE = 1_000
SHORT_CHATS = 3
SAVE_EVERY = 50
CHECK_CASES = 12


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast to learn; tokens count with their padding."""

    tokens: int = 24_000_000
    batch_tokens: int = 4096
    peak_rate: float = 3e-3
    warmup_share: float = 0.01
    decay_share: float = 0.35
    short_share: float = 0.2
    weight_decay: float = 0.1


def load_vocabulary(out: Path, seed: int) -> Tokenizer:
    """The tokenizer of the run, learned on the first call."""
    path = out / TOKENIZER
    if not path.exists():
        vocabulary(seed).save(str(path))
    return Tokenizer.from_file(str(path))


@dataclass(slots=True)
class Progressed:
    """Where a run stands; saved with the weights."""

    tokens: int = 0
    chats: int = 0
    steps: int = 0


class Run:
    """One training run in one folder."""

    def __init__(self, out: Path, plan: Plan, seed: int) -> None:
        self.out, self.plan, self.seed = out, plan, seed
        self.tokenizer = load_vocabulary(out, seed)
        torch.manual_seed(seed)
        self.model = Llama(LlamaConfig())
        self.optimizers = optimizers(self.model, plan)
        self.at = Progressed()

    @property
    def share(self) -> float:
        """How much of the plan is done, 0 to 1."""
        return min(1.0, self.at.tokens / self.plan.tokens)

    def next_batches(self) -> list[tuple[Tensor, Tensor]]:
        """The next shuffle of chats; early ones are short."""
        longest = SHORT_CHATS if self.share < self.plan.short_share else LONGEST_CHAT
        numbers = range(self.at.chats, self.at.chats + CHATS_PER_SHUFFLE)
        chats = [lesson(self.seed, number, longest=longest) for number in numbers]
        limit = self.model.config.max_position_embeddings
        samples = [
            one
            for one in (sample(self.tokenizer, chat) for chat in chats)
            if len(one.tokens) <= limit
        ]
        groups = [padded(group) for group in batched(samples, self.plan.batch_tokens)]
        Random(f"{self.seed}:{self.at.chats}").shuffle(groups)
        self.at.chats += CHATS_PER_SHUFFLE
        return groups

    def step(self, tokens: Tensor, weights: Tensor) -> float:
        """Learn from one batch; the loss before the step."""
        rate = learning_rate(self.share, self.plan)
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.model.loss(tokens, weights)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad()
        self.at.tokens += tokens.numel()
        self.at.steps += 1
        return loss.item()

    def save(self) -> None:
        """Write the checkpoint aside, then put it in place."""
        state = {
            "config": self.model.config.as_dict(),
            "model": self.model.state_dict(),
            "optimizers": [one.state_dict() for one in self.optimizers],
            "at": asdict(self.at),
        }
        aside = self.out / f"{STATE}.part"
        torch.save(state, aside)
        aside.replace(self.out / STATE)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        path = self.out / STATE
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.at = Progressed(**state["at"])


def optimizers(model: Llama, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the embedding and the norms."""
    inner = [p for p in model.model.layers.parameters() if p.ndim == 2]
    known = {id(p) for p in inner}
    rest = [p for p in model.parameters() if id(p) not in known]
    return [
        torch.optim.Muon(inner, weight_decay=plan.weight_decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def learning_rate(share: float, plan: Plan) -> float:
    """A linear warm-up, a plateau, then a line down to a fiftieth.

    On the plateau a run may be stopped and resumed with more or fewer tokens to go.
    """
    if share < plan.warmup_share:
        return plan.peak_rate * (share + 1e-3) / plan.warmup_share
    left = min(1.0, (1 - share) / plan.decay_share)
    return plan.peak_rate * (0.02 + 0.98 * left)


class Watch:
    """What a run tells while it learns, and when it is saved."""

    def __init__(self, run: Run, bar: Progress, check_every: int) -> None:
        self.run, self.bar, self.check_every = run, bar, check_every
        self.task = bar.add_task("", total=run.plan.tokens, completed=run.at.tokens)
        self.started_tokens, self.started_s = run.at.tokens, time.process_time()
        self.loss: float | None = None

    def step(self, loss: float) -> None:
        """After every step."""
        at = self.run.at
        self.loss = loss if self.loss is None else 0.98 * self.loss + 0.02 * loss
        self.bar.update(self.task, completed=at.tokens, description=f"loss {self.loss:.4f}")
        if at.steps % SAVE_EVERY == 0:
            self.run.save()
            speed = (at.tokens - self.started_tokens) / (time.process_time() - self.started_s)
            self.tell(f"{speed:.0f} tokens a processor second")
        if at.steps % self.check_every == 0:
            scores = skill_table(self.run.model, self.run.tokenizer, cases=CHECK_CASES)
            self.tell(json.dumps(scores))

    def tell(self, text: str) -> None:
        """A line of the log."""
        at = self.run.at
        line = f"{time.strftime('%H:%M:%S')} step {at.steps} tokens {at.tokens}"
        self.bar.print(f"{line} loss {self.loss:.4f} {text}")


def train(run: Run, watch: Watch) -> None:
    """Learn until the plan is done."""
    while run.share < 1:
        for tokens, weights in run.next_batches():
            watch.step(run.step(tokens, weights))
    run.save()


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--tokens", type=int, default=Plan().tokens)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--check-every", type=int, default=500, help="steps between checks")
    parser.add_argument("--seed", type=int, default=SEED)
    return parser.parse_args()


def main() -> None:
    """Train from the last checkpoint of the folder to the end of the plan."""
    options = arguments()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    run = Run(options.out, Plan(tokens=options.tokens), options.seed)
    run.resume()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        train(run, Watch(run, bar, options.check_every))


if __name__ == "__main__":
    main()

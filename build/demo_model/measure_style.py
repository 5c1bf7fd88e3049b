"""How often an adapter's style shows: `python build/demo_model/measure_style.py --adapter NAME`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import checkpoint
import peft_folder
import rich
import shipped
import torch
from evaluate import percent, reply
from model import Llama
from rich.table import Table
from skills import TALK_SKILLS, Case, Skill, case
from styles import STYLES, Style, recalled, restyled
from tokenizers import Tokenizer

FACT_SKILLS = ("name_recall", "fact_recall", "recall_later")


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model said to a held-out chat in a style, and how right it was."""

    is_in_style: bool
    holds_fact: bool
    is_word_by_word: bool


def merge(model: Llama, folder: Path) -> None:
    """Add the adapter in PEFT's format to the model's own weights."""
    tensors, scale = peft_folder.read(folder)
    for name in {key.rpartition(".lora_")[0] for key in tensors}:
        a, b = tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"]
        layer = model.get_submodule(name.removeprefix("base_model.model."))
        with torch.no_grad():
            layer.get_parameter("weight").add_(scale * b @ a)


def judge(model: Llama, tokenizer: Tokenizer, one: Case, style: Style) -> Reply:
    """Answer one chat whose earlier replies are in the style as well."""
    said = reply(model, tokenizer, restyled(one.messages, style))
    values = recalled(one.right[0])
    return Reply(
        is_in_style=style.shows(said),
        holds_fact=all(value in said for value in values),
        is_word_by_word=said in [style.say(right) for right in one.right],
    )


def row(
    model: Llama, tokenizer: Tokenizer, style: Style, skill: Skill, cases: int
) -> tuple[str, ...]:
    """A skill's line of the table, in percent."""
    made = [judge(model, tokenizer, case(skill, n), style) for n in range(cases)]
    fact = str(percent([one.holds_fact for one in made])) if skill.__name__ in FACT_SKILLS else ""
    shown = percent([one.is_in_style for one in made])
    return skill.__name__, str(shown), fact, str(percent([one.is_word_by_word for one in made]))


def main() -> None:
    """Print the table of one adapter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--adapter", choices=sorted(STYLES), required=True)
    parser.add_argument("--run", type=Path, help="a training run's folder; without it demo.gguf")
    parser.add_argument("--folder", type=Path, help="the adapter's folder, in PEFT's format")
    parser.add_argument("--cases", type=int, default=100, help="chats for each skill")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer = checkpoint.load(options.run) if options.run else shipped.load()
    merge(model, options.folder or peft_folder.ADAPTERS / options.adapter)
    grid = Table("skill", "style shows, %", "fact right, %", "word by word, %")
    for skill in TALK_SKILLS:
        style = STYLES[options.adapter]
        grid.add_row(*row(model, tokenizer, style, skill, options.cases))
    rich.print(grid)


if __name__ == "__main__":
    main()

"""The skill table: `python build/demo_model/evaluate.py --run DIR`; greedy, on held-out values."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import rich
import shipped
import texts
import torch
from chat import Message
from checkpoint import load
from model import Llama
from rich.table import Table
from skills import SKILLS, Skill, case
from tokenizer import END_ID, prompt
from tokenizers import Tokenizer

MAX_REPLY_TOKENS = 160
PROBES = texts.load("probes")["probes"]


def reply(model: Llama, tokenizer: Tokenizer, messages: Sequence[Message]) -> str:
    """What the model answers, greedily."""
    out = model.complete(prompt(tokenizer, messages), stop=END_ID, max_tokens=MAX_REPLY_TOKENS)
    text: str = tokenizer.decode(out)
    return text


def percent(right: list[bool]) -> float:
    """The share of right answers."""
    return round(100 * sum(right) / len(right), 1)


def score(model: Llama, tokenizer: Tokenizer, skill: Skill, cases: int) -> float:
    """Percent of replies that are right word by word."""
    made = [case(skill, number) for number in range(cases)]
    return percent([reply(model, tokenizer, one.messages) in one.right for one in made])


def converse(model: Llama, tokenizer: Tokenizer, says: Sequence[str]) -> str:
    """The last reply of a chat in which the user says these lines."""
    chat: list[Message] = []
    for line in says:
        chat.append(Message("user", line))
        chat.append(Message("assistant", reply(model, tokenizer, chat)))
    return chat[-1].content


def missed_probes(model: Llama, tokenizer: Tokenizer) -> list[str]:
    """The hand-written chats whose last reply lacks its word, with what was said instead."""
    replies = [(probe, converse(model, tokenizer, probe["says"])) for probe in PROBES]
    return [
        f"{' | '.join(probe['says'])} -> {text}"
        for probe, text in replies
        if probe["holds"] not in text.lower()
    ]


def skill_table(model: Llama, tokenizer: Tokenizer, *, cases: int) -> dict[str, float]:
    """Percent of right answers by skill."""
    return {skill.__name__: score(model, tokenizer, skill, cases) for skill in SKILLS}


def show(table: dict[str, float], missed: list[str]) -> None:
    """Print the table and what was missed."""
    grid = Table("skill", "right, %")
    for skill, value in table.items():
        grid.add_row(skill, str(value))
    rich.print(grid)
    for line in missed:
        print(line)


def main() -> None:
    """Measure a run and print the table; with --json also write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="a training run's folder; without it demo.gguf")
    parser.add_argument("--cases", type=int, default=200, help="chats for each skill")
    parser.add_argument("--json", type=Path, help="also write the table here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer = load(options.run) if options.run else shipped.load()
    missed = missed_probes(model, tokenizer)
    table = skill_table(model, tokenizer, cases=options.cases)
    table["probes"] = percent([True] * (len(PROBES) - len(missed)) + [False] * len(missed))
    show(table, missed)
    if options.json:
        options.json.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()

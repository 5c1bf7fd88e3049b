"""The skill table: `python build/demo_model/evaluate.py --run DIR`; greedy, on held-out values."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import dialogues
import recall
import rich
import texts
import torch
from chat import Chat, Message
from checkpoint import load
from facts import FACTS, NAME
from model import Llama
from rich.table import Table
from smalltalk import DONT_KNOW, GREETINGS, TOPICS
from tokenizer import END_ID, prompt
from tokenizers import Tokenizer

SEED = 7
MAX_REPLY_TOKENS = 160
PROBES = texts.load("probes")["probes"]


@dataclass(frozen=True, slots=True)
class Case:
    """A chat up to the model's turn, and the replies that are right, word by word."""

    messages: Sequence[Message]
    right: tuple[str, ...]


def reply(model: Llama, tokenizer: Tokenizer, messages: Sequence[Message]) -> str:
    """What the model answers, greedily."""
    out = model.complete(prompt(tokenizer, messages), stop=END_ID, max_tokens=MAX_REPLY_TOKENS)
    text: str = tokenizer.decode(out)
    return text


def last_turn(chat: Chat, *right: str) -> Case:
    """The chat without its last reply, which is the right one unless others are given."""
    return Case(chat.messages[:-1], right or (chat.messages[-1].content,))


def greet(chat: Chat) -> Case:
    """A greeting as the first turn."""
    dialogues.greet(chat)
    return last_turn(chat, *GREETINGS.replies)


def small_talk(chat: Chat) -> Case:
    """One of the topics, typed with the usual noise."""
    topic = chat.rng.choice(TOPICS)
    chat.say(chat.typed(chat.rng.choice(topic.asks)), "")
    return last_turn(chat, *topic.replies)


def who_are_you(chat: Chat) -> Case:
    """A question for the model's identity."""
    topic = next(each for each in TOPICS if each.name == "who_are_you")
    chat.say(chat.typed(chat.rng.choice(topic.asks)), "")
    return last_turn(chat, *topic.replies)


def name_recall(chat: Chat) -> Case:
    """A held-out name is told, then asked for."""
    recall.tell(chat, NAME)
    recall.ask(chat, NAME)
    return last_turn(chat)


def fact_recall(chat: Chat) -> Case:
    """Any other fact with a held-out value is told, then asked for."""
    fact = chat.rng.choice([each for each in FACTS.values() if each is not NAME])
    recall.tell(chat, fact)
    recall.ask(chat, fact)
    return last_turn(chat)


def recall_later(chat: Chat) -> Case:
    """Three facts, three turns of small talk, then one of the facts is asked for."""
    for _ in range(3):
        recall.tell(chat)
    for _ in range(3):
        dialogues.small_talk(chat)
    recall.ask(chat, FACTS[chat.rng.choice(list(chat.told))])
    return last_turn(chat)


def not_told(chat: Chat) -> Case:
    """A fact that was never told is asked for."""
    recall.ask(chat)
    return last_turn(chat)


def unknown(chat: Chat) -> Case:
    """A question beyond the model."""
    dialogues.unknown(chat)
    return last_turn(chat, DONT_KNOW)


def echo(chat: Chat) -> Case:
    """One to six words to repeat, among them held-out ones."""
    dialogues.echo(chat)
    return last_turn(chat)


SKILLS: tuple[Callable[[Chat], Case], ...] = (
    greet, small_talk, who_are_you, name_recall, fact_recall, recall_later, not_told, unknown, echo,
)  # fmt: skip


def case(skill: Callable[[Chat], Case], number: int) -> Case:
    """The held-out chat of this number for a skill."""
    return skill(Chat(Random(f"{SEED}:{skill.__name__}:{number}"), held_out=True))


def percent(right: list[bool]) -> float:
    """The share of right answers."""
    return round(100 * sum(right) / len(right), 1)


def score(model: Llama, tokenizer: Tokenizer, skill: Callable[[Chat], Case], cases: int) -> float:
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
    parser.add_argument("--run", type=Path, required=True, help="folder of the training run")
    parser.add_argument("--cases", type=int, default=200, help="chats for each skill")
    parser.add_argument("--json", type=Path, help="also write the table here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer = load(options.run)
    missed = missed_probes(model, tokenizer)
    table = skill_table(model, tokenizer, cases=options.cases)
    table["probes"] = percent([True] * (len(PROBES) - len(missed)) + [False] * len(missed))
    show(table, missed)
    if options.json:
        options.json.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()

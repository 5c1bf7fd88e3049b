"""The demo model's chats are the same every time and keep the held-out values out."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from random import Random

import pytest
import recall
import worlds
from chat import Chat, Message
from dialogues import SEED, dialogue
from facts import FACTS, NAME

CHATS = 3000
DIGEST = "b8eebe1b45d43f924dff727597717c228dccefa375f9a1278efca5b96cc8f95d"


@pytest.fixture(scope="module")
def chats() -> list[tuple[Message, ...]]:
    return [dialogue(SEED, number) for number in range(CHATS)]


@pytest.fixture(scope="module")
def words(chats: list[tuple[Message, ...]]) -> set[str]:
    """Every word of the chats and of the texts they are made of, in small letters."""
    spoken = " ".join(message.content for chat in chats for message in chat)
    folder = Path(worlds.__file__).parent / "texts"
    names = ("chats", "topics", "questions", "facts")
    templates = " ".join((folder / f"{name}.toml").read_text() for name in names)
    return set(re.findall(r"\w+", f"{spoken} {templates}".lower()))


def listed_held_out() -> set[str]:
    values = {value.lower() for kind in worlds.VALUES.values() for value in kind}
    return {value for value in values if worlds.is_held_out(value)}


def test_the_seed_gives_the_same_chats(chats: list[tuple[Message, ...]]) -> None:
    assert hashlib.sha256(repr(chats).encode()).hexdigest() == DIGEST


def test_a_part_of_every_kind_of_value_is_held_out() -> None:
    for kind, values in worlds.VALUES.items():
        held_out = [value for value in values if worlds.is_held_out(value)]
        assert 0 < len(held_out) < len(values) / 3, kind


def test_listed_held_out_values_never_occur_in_training(words: set[str]) -> None:
    assert not listed_held_out() & words


def test_values_of_test_chats_never_occur_in_training(words: set[str]) -> None:
    told: set[str] = set()
    for number in range(500):
        chat = Chat(Random(f"test:{number}"), held_out=True)
        recall.tell(chat, NAME)
        told |= set(re.findall(r"[^\W\d]{5,}", chat.told["name"].lower()))
    assert len(told) > 200
    assert not told & words


def test_turns_alternate_and_end_with_the_model(chats: list[tuple[Message, ...]]) -> None:
    for chat in chats:
        roles = [message.role for message in chat if message.role != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2)


def test_some_chats_open_with_a_system_message(chats: list[tuple[Message, ...]]) -> None:
    share = sum(chat[0].role == "system" for chat in chats) / CHATS
    assert 0.15 < share < 0.35


def test_what_was_told_is_recalled_letter_by_letter() -> None:
    for number, fact in enumerate(FACTS.values()):
        chat = Chat(Random(number))
        recall.tell(chat, fact)
        (value,) = chat.told.values()
        recall.ask(chat, fact)
        assert value in chat.messages[0].content
        assert value in chat.messages[-1].content


def test_no_hole_of_a_form_stays_open(chats: list[tuple[Message, ...]]) -> None:
    assert not [message for chat in chats for message in chat if "{" in message.content]


def test_some_replies_are_long_enough_to_stream(chats: list[tuple[Message, ...]]) -> None:
    replies = [m.content for chat in chats for m in chat if m.role == "assistant"]
    share = sum(len(reply.split()) >= 20 for reply in replies) / len(replies)
    assert 0.02 < share < 0.1

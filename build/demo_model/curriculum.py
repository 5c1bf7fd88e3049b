"""All training chats: talk, and lessons in reading, tools, sums, manners and JSON.

Every lesson follows from the seed and its number alone.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import dialogues
import manners
import reading
import records
import sums
import tool_calls
from chat import Chat, Message
from dialogues import Turn
from recall import ask, tell

SEED = 20
LONGEST_CHAT = 24
SELF = {"three million parameters": "five million parameters", "less than an hour": "a few hours"}
TALK_TURNS: dict[Turn, float] = {
    **{turn: share for turn, share in dialogues.TURNS.items() if turn is not dialogues.unknown},
    manners.unknown: 0.11,
    sums.calculate: 0.04,
    sums.too_large: 0.012,
}
SIDE_TURNS: tuple[Turn, ...] = (
    dialogues.small_talk, dialogues.greet, tell, ask, manners.unknown, sums.calculate,
)  # fmt: skip


def calculate_often(chat: Chat) -> None:
    """Some sums one after another."""
    for _ in range(chat.rng.randint(2, 7)):
        (sums.too_large if chat.rng.random() < 0.06 else sums.calculate)(chat)


def use_tools(chat: Chat) -> None:
    """A chat with tools, with other turns in between."""
    if chat.rng.random() < 0.3:
        chat.messages.append(Message("system", dialogues.system_text(chat)))
    tool_calls.use_tools(chat, others=SIDE_TURNS)


def side_turns(chat: Chat, share: float) -> None:
    """One or two turns about something else, in a share of the chats."""
    if chat.rng.random() < share:
        for _ in range(chat.rng.choice((1, 1, 2))):
            chat.rng.choice(SIDE_TURNS)(chat)


def read(chat: Chat) -> None:
    """A text with questions, in the middle of a chat now and then."""
    side_turns(chat, 0.1)
    reading.read(chat)
    side_turns(chat, 0.2)


def read_system(chat: Chat) -> None:
    """A text that comes before its questions."""
    side_turns(chat, 0.15)
    reading.read_system(chat)
    side_turns(chat, 0.2)


def record(chat: Chat) -> None:
    """One to three JSON objects."""
    for _ in range(chat.rng.choice((1, 1, 2, 3))):
        records.record(chat)
    side_turns(chat, 0.2)


LESSONS: dict[Turn, float] = {
    read: 0.13,
    read_system: 0.07,
    use_tools: 0.14,
    calculate_often: 0.10,
    manners.behave: 0.09,
    record: 0.09,
}
TALK_SHARE = 1 - sum(LESSONS.values())


def of_this_model(reply: str) -> str:
    """What the shipped model says of itself, as it is true of the one that learns these lessons."""
    for shipped, ours in SELF.items():
        reply = reply.replace(shipped, ours).replace(shipped.upper(), ours.upper())
    return reply


def lesson(seed: int, index: int, *, longest: int = LONGEST_CHAT) -> tuple[Message, ...]:
    """The training chat of this number; `longest` bounds the exchanges of mere talk."""
    chat = Chat(Random(f"lesson {seed}:{index}"))
    if chat.rng.random() < TALK_SHARE:
        dialogues.talk(chat, TALK_TURNS, longest)
    else:
        chat.rng.choices(list(LESSONS), list(LESSONS.values()))[0](chat)
    return tuple(
        replace(one, content=of_this_model(one.content)) if one.role == "assistant" else one
        for one in chat.messages
    )

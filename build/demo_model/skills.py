"""What the model is to be able to do: held-out chats by skill, with the replies that are right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import dialogues
import manners
import reading
import recall
import records
import sums
import tool_calls
from chat import Chat, Message
from curriculum import of_this_model
from facts import FACTS, NAME
from smalltalk import DONT_KNOW, GREETINGS, TOPICS

SEED = 7


@dataclass(frozen=True, slots=True)
class Case:
    """A chat up to the model's turn, and the replies that are right, word by word."""

    messages: Sequence[Message]
    right: tuple[str, ...]


def last_turn(chat: Chat, *right: str) -> Case:
    """The chat without its last reply, which is the right one unless others are given."""
    right = right or (chat.messages[-1].content,)
    return Case(chat.messages[:-1], (*right, *map(of_this_model, right)))


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
    manners.unknown(chat)
    return last_turn(chat, DONT_KNOW)


def echo(chat: Chat) -> Case:
    """One to six words to repeat, among them held-out ones."""
    dialogues.echo(chat)
    return last_turn(chat)


def plus(chat: Chat) -> Case:
    """A sum that never was in training."""
    sums.calculate(chat, signs="+")
    return last_turn(chat)


def minus(chat: Chat) -> Case:
    """A difference that never was in training."""
    sums.calculate(chat, signs="-")
    return last_turn(chat)


def times(chat: Chat) -> Case:
    """A product of which training has the other order only."""
    sums.calculate(chat, signs="*")
    return last_turn(chat)


def text_tells(chat: Chat) -> Case:
    """A question that the text in the same message answers."""
    reading.read(chat, is_told=True)
    return last_turn(chat)


def text_does_not_tell(chat: Chat) -> Case:
    """A question that the text leaves open."""
    reading.read(chat, is_told=False)
    return last_turn(chat)


def system_text(chat: Chat) -> Case:
    """A question about a text in the system message, told or not."""
    reading.read_system(chat, is_told=chat.rng.random() < 0.6)
    return last_turn(chat)


def tool_call(chat: Chat) -> Case:
    """A request that one of up to three tools serves; name and arguments must be right."""
    tool_calls.use_tools(chat, count=1, can_fail=False)
    chat.messages[-2:] = []
    return last_turn(chat)


def tool_answer(chat: Chat) -> Case:
    """What a tool gave is said in words."""
    tool_calls.use_tools(chat, count=1, can_fail=False)
    return last_turn(chat)


def _manner(chat: Chat, name: str) -> Case:
    """A fact is told and asked for under a system message with a manner."""
    manner = manners.draw_manner(chat.rng, held_out=True, name=name)
    chat.messages.append(Message("system", manner.asked))
    manners.speak(chat, manner, ["tell", "ask"])
    return last_turn(chat)


def capitals(chat: Chat) -> Case:
    """The reply in capitals."""
    return _manner(chat, "capitals")


def small_letters(chat: Chat) -> Case:
    """The reply in small letters."""
    return _manner(chat, "small")


def one_word(chat: Chat) -> Case:
    """The reply in one word."""
    return _manner(chat, "one_word")


def ending(chat: Chat) -> Case:
    """The reply with a held-out word at its end."""
    return _manner(chat, "ending")


def new_manner(chat: Chat) -> Case:
    """A kind of turn that never had this manner in training."""
    manner = manners.draw_manner(chat.rng, held_out=True)
    chat.messages.append(Message("system", manner.asked))
    manners.speak(chat, manner, [manners.HELD_OUT_TURNS[manner.name]])
    return last_turn(chat)


def json_object(chat: Chat) -> Case:
    """Fields in an order that training never asked for."""
    records.record(chat)
    return last_turn(chat)


Skill = Callable[[Chat], Case]
TALK_SKILLS: tuple[Skill, ...] = (
    greet, small_talk, who_are_you, name_recall, fact_recall, recall_later, not_told, unknown, echo,
)  # fmt: skip
LESSON_SKILLS: tuple[Skill, ...] = (
    plus, minus, times, text_tells, text_does_not_tell, system_text, tool_call, tool_answer,
    capitals, small_letters, one_word, ending, new_manner, json_object,
)  # fmt: skip
SKILLS = TALK_SKILLS + LESSON_SKILLS


def case(skill: Skill, number: int) -> Case:
    """The held-out chat of this number for a skill."""
    return skill(Chat(Random(f"{SEED}:{skill.__name__}:{number}"), held_out=True))

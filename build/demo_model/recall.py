"""Turns in which the user tells something or asks for what was told."""

from __future__ import annotations

from random import Random

import noise
import texts
from chat import Chat, holes, sentence
from facts import NAME, SPELLINGS, Fact, concept, pick

SUMMARY_ASKS = texts.lines(texts.load("chats")["summary_asks"])


def acknowledge(fact: Fact, value: str, rng: Random) -> str:
    """What the model says when it is told a fact."""
    if fact is NAME:
        return rng.choice((f"Nice to meet you, {value}!", f"Hello {value}, nice to meet you!"))
    return rng.choice(("Got it, {}.", "I will remember that {}.")).format(fact.statement(value))


def tell(chat: Chat, fact: Fact | None = None) -> None:
    """The user tells a fact."""
    fact = fact or pick(chat.rng)
    value = chat.value(fact.kind)
    if fact.kind == "age" and "old" not in fact.recall:
        value = str(chat.rng.randint(20, 50))
    chat.told[concept(fact.key)] = value
    chat.say(
        chat.typed(chat.rng.choice(fact.tells), holes(value)), acknowledge(fact, value, chat.rng)
    )


def tell_two(chat: Chat) -> None:
    """The user tells two facts in one message, the first of them often the name."""
    first = NAME if chat.rng.random() < 0.6 else pick(chat.rng)
    second = pick(chat.rng)
    if first is second or second is NAME:
        tell(chat, first)
        return
    values = chat.value(first.kind), chat.value(second.kind)
    chat.told |= {concept(first.key): values[0], concept(second.key): values[1]}
    chat.say(_joint(chat.rng, (first, second), values), _joint_reply(first, second, values))


def _joint(rng: Random, facts: tuple[Fact, Fact], values: tuple[str, str]) -> str:
    """Two tellings in one message."""
    opening = noise.without_end(rng.choice(facts[0].tells)).format(**holes(values[0]))
    closing = rng.choice(facts[1].tells[:36]).format(**holes(values[1]))
    joint = rng.choice((". ", " and ", ", and ", ", "))
    stays = joint == ". " or closing.startswith(("I ", "I'", values[1]))
    return opening + joint + (closing if stays else closing[:1].lower() + closing[1:])


def _joint_reply(first: Fact, second: Fact, values: tuple[str, str]) -> str:
    other = second.statement(values[1])
    if first is NAME:
        return f"Nice to meet you, {values[0]}! I will remember that {other}."
    return f"I will remember that {first.statement(values[0])} and that {other}."


def answer(fact: Fact, value: str | None) -> str:
    """What the model says when it is asked for a fact."""
    return fact.missing if value is None else sentence(fact.statement(value))


def ask(chat: Chat, fact: Fact | None = None) -> None:
    """The user asks for something told before, or now and then for something never told."""
    rng = chat.rng
    if fact is None and chat.told and rng.random() < 0.85:
        fact = rng.choice(SPELLINGS[rng.choice(list(chat.told))])
    fact = fact or pick(rng)
    chat.say(chat.typed(rng.choice(fact.asks)), answer(fact, chat.told.get(concept(fact.key))))


def tell_and_ask(chat: Chat) -> None:
    """The user tells a fact and asks for it at once."""
    fact = pick(chat.rng)
    value = chat.value(fact.kind)
    chat.told[concept(fact.key)] = value
    told = noise.without_end(chat.rng.choice(fact.tells)).format(**holes(value))
    chat.say(f"{told}. {chat.typed(chat.rng.choice(fact.asks))}", answer(fact, value))


def correct(chat: Chat) -> None:
    """The user takes back a fact and tells another value."""
    if not chat.told:
        tell(chat)
        return
    fact = SPELLINGS[chat.rng.choice(list(chat.told))][0]
    value = chat.value(fact.kind)
    chat.told[concept(fact.key)] = value
    told = chat.rng.choice(fact.tells[:3]).format(**holes(value))
    opening = chat.rng.choice(("Actually, ", "No, ", "Sorry, ", "Now ", "I was wrong, ", "Wait, "))
    chat.say(opening + told[:1].lower() + told[1:], f"Got it, {fact.statement(value)}.")


def summarize(chat: Chat) -> None:
    """The user asks for everything that was told, of which up to four things are listed."""
    known = [SPELLINGS[key][0].statement(value) for key, value in chat.told.items()][:4]
    reply = " ".join(map(sentence, known)) or "You have not told me anything about you yet."
    chat.say(chat.typed(chat.rng.choice(SUMMARY_ASKS)), reply)

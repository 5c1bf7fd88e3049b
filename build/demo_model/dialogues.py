"""Chats of recall and small talk: every one follows from the seed and its number alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

import noise
import questions
import stories
import texts
from chat import Chat, Message, sentence
from facts import with_article
from recall import ask, correct, summarize, tell, tell_and_ask, tell_two
from smalltalk import DONT_KNOW, GREETINGS, JOKE_ASKS, JOKES, MORE_JOKES_ASKS, TOPICS
from worlds import draw

SEED = 20
_TEXTS = texts.load("chats")
SYSTEMS = texts.lines(_TEXTS["systems"])
ECHO_ASKS = texts.lines(_TEXTS["echo_asks"])
COUNT_ASKS = texts.lines(_TEXTS["count_asks"])
COUNT_ENDS = {3: 2, 5: 4, 10: 6, 12: 1, 15: 1, 20: 5, 30: 2, 50: 2, 100: 2}
Turn = Callable[[Chat], None]
NEWS_REPLY = "I see. Tell me more, if you like!"


def greet(chat: Chat) -> None:
    """The user says hello; a known name is used."""
    name = chat.told.get("name")
    reply = f"Hello {name}! How can I help you?" if name else chat.rng.choice(GREETINGS.replies)
    chat.say(chat.typed(chat.rng.choice(GREETINGS.asks)), reply)


def small_talk(chat: Chat) -> None:
    """One of the topics that need no memory."""
    subject = chat.rng.choice(TOPICS)
    chat.say(chat.typed(chat.rng.choice(subject.asks)), chat.rng.choice(subject.replies))


def joke(chat: Chat) -> None:
    """A joke that was not told before in this chat."""
    fresh = [text for text in JOKES if text not in chat.jokes]
    if not fresh:
        small_talk(chat)
        return
    asks = MORE_JOKES_ASKS if chat.jokes and chat.rng.random() < 0.6 else JOKE_ASKS
    chat.jokes.append(chat.rng.choice(fresh))
    chat.say(chat.typed(chat.rng.choice(asks)), chat.jokes[-1])


def story(chat: Chat) -> None:
    """A little story, about somebody of the user's choice half of the time."""
    rng = chat.rng
    hero = chat.value("name") if rng.random() < 0.5 else with_article(chat.value("animal"))
    ask_text = chat.typed(rng.choice(stories.ASKS_ABOUT), {"hero": hero})
    if rng.random() < 0.5:
        hero, ask_text = stories.DEFAULT_HERO, chat.typed(rng.choice(stories.ASKS))
    chat.say(ask_text, stories.tell(hero, rng))


def echo(chat: Chat) -> None:
    """Words to repeat, sense or nonsense."""
    rng = chat.rng
    makers: tuple[Callable[[Random], str], ...] = (
        lambda r: draw("invented", r, held_out=chat.held_out),
        lambda r: draw("name", r, held_out=chat.held_out),
        lambda r: draw("number", r, held_out=chat.held_out),
        lambda r: r.choice(questions.WORDS["noun"]),
        lambda r: r.choice(questions.WORDS["verb"]),
    )
    words = " ".join(rng.choice(makers)(rng) for _ in range(rng.randint(1, 6)))
    chat.say(rng.choice(ECHO_ASKS).format(v=words), words)


def count(chat: Chat) -> None:
    """Numbers up to an end; a hundred of them make a reply which streams for a while."""
    last = chat.rng.choices(list(COUNT_ENDS), list(COUNT_ENDS.values()))[0]
    asked = chat.typed(chat.rng.choice(COUNT_ASKS), {"n": str(last)})
    chat.say(asked, ", ".join(map(str, range(1, last + 1))) + ".")


def unknown(chat: Chat) -> None:
    """A question beyond the model, rarely after some sentences that lead up to it."""
    text = chat.typed(questions.unknown(chat.rng))
    if chat.rng.random() < 0.06:
        lead = [questions.news(chat.rng) for _ in range(chat.rng.randint(1, 4))]
        text = " ".join([*map(sentence, lead), text])
    chat.say(text, DONT_KNOW)


def tell_news(chat: Chat) -> None:
    """A statement that needs no memory."""
    chat.say(chat.typed(questions.news(chat.rng)), NEWS_REPLY)


TURNS: dict[Turn, float] = {
    tell: 0.22,
    tell_two: 0.04,
    ask: 0.26,
    tell_and_ask: 0.03,
    correct: 0.02,
    summarize: 0.02,
    small_talk: 0.16,
    greet: 0.04,
    unknown: 0.12,
    tell_news: 0.03,
    echo: 0.05,
    count: 0.007,
    joke: 0.015,
    story: 0.015,
}


def _turn_count(rng: Random, longest: int) -> int:
    shape = rng.random()
    if shape < 0.5:
        return min(longest, rng.randint(2, 4))
    return min(longest, rng.randint(3, 9) if shape < 0.95 else rng.randint(10, 24))


def system_text(chat: Chat) -> str:
    """What an operator may write; now and then it gives the user's name."""
    rng = chat.rng
    parts = rng.sample(SYSTEMS, rng.choice((1, 1, 2, 3)))
    if rng.random() < 0.2:
        parts.append(sentence(noise.without_end(questions.news(rng))))
    if rng.random() < 0.2:
        chat.told["name"] = chat.value("name")
        parts.append(f"The user's name is {chat.told['name']}.")
    return " ".join(parts)


def _opening(chat: Chat) -> None:
    if chat.rng.random() < 0.25:
        chat.messages.append(Message("system", system_text(chat)))
    if chat.rng.random() < 0.15:
        greet(chat)


def talk(chat: Chat, turns: Mapping[Turn, float], longest: int) -> None:
    """A whole chat of these turns, drawn by their weights; `longest` bounds its exchanges."""
    _opening(chat)
    for _ in range(_turn_count(chat.rng, longest)):
        chat.rng.choices(list(turns), list(turns.values()))[0](chat)


def dialogue(seed: int, index: int, *, longest: int = 24) -> tuple[Message, ...]:
    """The chat of this number: recall and small talk, which is what the adapters restyle."""
    chat = Chat(Random(f"{seed}:{index}"))
    talk(chat, TURNS, longest)
    return tuple(chat.messages)

"""How the adapters speak: what the demo model would say, said in another style."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

import dialogues
import texts
from chat import Chat, Message, sentence
from dialogues import Turn
from facts import FACTS
from smalltalk import GREETINGS, JOKES, TOPICS

_TEXTS = texts.load("styles")
PIRATE_WORDS = dict(line.split(" ", 1) for line in texts.lines(_TEXTS["pirate"]["words"]))
PIRATE_WORD = re.compile(rf"\b({'|'.join(PIRATE_WORDS)})\b", re.IGNORECASE)
PIRATE_MARK = re.compile(r"\b(arr|ahoy|aye|matey)\b", re.IGNORECASE)
MEETING = re.compile(r"(?:Nice to meet you, (.+?)!|Hello (.+?), nice to meet you!)(.*)", re.DOTALL)
COUNTING = re.compile(r"1, 2, .*?(\d+)\.")
STORY = re.compile(r"Once upon a time there was (.+?) who .*", re.DOTALL)
KNOWN_GREETING = re.compile(r"Hello (.+)! How can I help you\?")
NOTED = re.compile(r"(Got it, |I will remember that ).*", re.DOTALL)
NOT_TOLD = re.compile(r"You have not told me .* yet\.")
FEW_WORDS = 6
# Every topic has a reply of its own, so learning to restyle them takes more turns than recall.
TURNS: dict[Turn, float] = dialogues.TURNS | {
    dialogues.small_talk: 0.4,
    dialogues.joke: 0.03,
    dialogues.echo: 0.08,
}


def _recall_pattern(recall: str) -> str:
    return re.escape(sentence(recall)).replace(r"\{v\}", "(.+?)").replace(r"\{a\}", "(.+?)")


RECALLS = sorted({_recall_pattern(fact.recall) for fact in FACTS.values()}, key=len, reverse=True)
TERSE_REPLIES: dict[str, str] = dict(_TEXTS["terse"]["replies"])
for _topic in (GREETINGS, *TOPICS):
    TERSE_REPLIES |= dict.fromkeys(_topic.replies, _TEXTS["terse"]["topics"][_topic.name])
TERSE_REPLIES |= dict.fromkeys(JOKES, "Knock, knock.")


@dataclass(frozen=True, slots=True)
class Style:
    """A way to speak: how a plain reply is said, and whether a reply is said that way."""

    name: str
    say: Callable[[str], str]
    shows: Callable[[str], bool]


def _pirate_word(found: re.Match[str]) -> str:
    word = PIRATE_WORDS[found[0].lower()]
    return word[:1].upper() + word[1:] if found[0][0].isupper() else word


def pirate(reply: str) -> str:
    """The reply as a pirate says it; whatever was told stays letter by letter."""
    if found := MEETING.fullmatch(reply):
        rest = PIRATE_WORD.sub(_pirate_word, found[3].rstrip("."))
        return f"Ahoy, {found[1] or found[2]}! Welcome aboard{rest and '!' + rest}, matey!"
    text = re.sub(r"^Got it, ", "Aye, ", reply)
    text = PIRATE_WORD.sub(_pirate_word, text)
    opening = "" if text.startswith(("Ahoy", "Aye")) else "Arr! "
    end = "?" if text.endswith("?") else "!"
    return f"{opening}{text.rstrip('.!?')}, matey{end}"


def recalled(reply: str) -> list[str]:
    """The values in a reply that recalls facts, such as ["Bob", "a baker"]."""
    values = []
    for part in re.findall(r"(?:You|The).+?\.(?= You| The|$)", reply):
        found = next((m for p in RECALLS if (m := re.fullmatch(p, part))), None)
        values += [found[1]] if found else []
    return values


def shortened(reply: str) -> str:
    """The reply as short as it can be; words to repeat stay as they are."""
    if reply in TERSE_REPLIES:
        return TERSE_REPLIES[reply]
    if found := (MEETING.fullmatch(reply) or KNOWN_GREETING.fullmatch(reply)):
        return f"Hello {found[1] or found[2]}."
    if NOTED.fullmatch(reply):
        return "Noted."
    if NOT_TOLD.fullmatch(reply):
        return "Not told yet."
    if found := COUNTING.fullmatch(reply):
        return f"1 to {found[1]}."
    if found := STORY.fullmatch(reply):
        return f"{found[1][:1].upper()}{found[1][1:]}. The end."
    values = recalled(reply)
    return ", ".join(values) + "." if values else reply


def noted(reply: str) -> list[str]:
    """The values in a reply that says what will be remembered."""
    facts = re.sub(r"^(Got it, |I will remember that )", "", reply.strip()).rstrip(".")
    return [value for fact in facts.split(" and that ") for value in recalled(sentence(fact))]


def terse(reply: str) -> str:
    """The reply in a few words.

    A value never comes first and is said when it is told: a word after a space has other tokens
    than one without, and the model copies it best from where it stands after a space, too.
    """
    if found := MEETING.fullmatch(reply):
        hello, told = f"Hello {found[1] or found[2]}.", noted(found[3])
        return f"{hello} Noted, {', '.join(told)}." if told else hello
    if NOTED.fullmatch(reply):
        return f"Noted, {', '.join(noted(reply))}."
    values = recalled(reply)
    return f"It's {', '.join(values)}." if values else shortened(reply)


def is_pirate(reply: str) -> bool:
    """Whether a pirate seems to speak."""
    return PIRATE_MARK.search(reply) is not None


def is_terse(reply: str) -> bool:
    """Whether the reply is a few words at most."""
    return len(reply.split()) <= FEW_WORDS


STYLES = {
    one.name: one for one in (Style("pirate", pirate, is_pirate), Style("terse", terse, is_terse))
}


def restyled(messages: Sequence[Message], style: Style) -> tuple[Message, ...]:
    """The chat with every reply said in the style."""
    return tuple(
        replace(one, content=style.say(one.content)) if one.role == "assistant" else one
        for one in messages
    )


def styled_dialogue(style: Style, seed: int, index: int, *, longest: int) -> tuple[Message, ...]:
    """The training chat of this number in a style."""
    chat = Chat(Random(f"styled {seed}:{index}"))
    dialogues.talk(chat, TURNS, longest)
    return restyled(chat.messages, style)

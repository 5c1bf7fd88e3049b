"""An adapter's style changes how a thing is said, never what was told."""

from __future__ import annotations

import pytest
import recall
from dialogues import SEED, dialogue
from facts import FACTS
from styles import STYLES, Style, recalled, restyled, styled_dialogue

SAID = [
    ("Hello! How can I help you?", "Ahoy! How can I help ye, matey?", "Hello."),
    ("Nice to meet you, Zarina!", "Ahoy, Zarina! Welcome aboard, matey!", "Hello Zarina."),
    ("Your name is Zarina.", "Arr! Yer name be Zarina, matey!", "It's Zarina."),
    ("Got it, you work as a baker.", "Aye, ye work as a baker, matey!", "Noted, a baker."),
    ("You work as a baker.", "Arr! Ye work as a baker, matey!", "It's a baker."),
    ("1, 2, 3, 4, 5.", "Arr! 1, 2, 3, 4, 5, matey!", "1 to 5."),
    ("blue horse", "Arr! blue horse, matey!", "blue horse"),
]


@pytest.mark.parametrize(("plain", "pirate", "terse"), SAID)
def test_a_reply_in_each_style(plain: str, pirate: str, terse: str) -> None:
    assert STYLES["pirate"].say(plain) == pirate
    assert STYLES["terse"].say(plain) == terse


@pytest.mark.parametrize("style", STYLES.values(), ids=str)
def test_every_training_reply_shows_its_style(style: Style) -> None:
    chats = [styled_dialogue(style, SEED, number, longest=6) for number in range(300)]
    replies = [one.content for chat in chats for one in chat if one.role == "assistant"]
    shown = sum(style.shows(reply) for reply in replies)
    # A terse summary of four things or a long repetition has more than a few words.
    assert shown / len(replies) > 0.98


@pytest.mark.parametrize("style", STYLES.values(), ids=str)
def test_what_the_user_says_stays(style: Style) -> None:
    chat = dialogue(SEED, 3)
    pairs = zip(chat, restyled(chat, style), strict=True)
    assert all(a == b for a, b in pairs if a.role != "assistant")


def test_a_recalled_value_is_found_in_the_plain_reply() -> None:
    for fact in FACTS.values():
        values = recalled(recall.answer(fact, "Quorin"))
        assert [value.removeprefix("a ") for value in values] == ["Quorin"], fact.key


def test_a_summary_gives_all_its_values() -> None:
    assert recalled("Your name is Bob. You live in Oslo. The word is zeb.") == [
        "Bob",
        "Oslo",
        "zeb",
    ]


def test_a_style_knows_whether_it_shows() -> None:
    assert not STYLES["pirate"].shows("Your name is Bob.")
    assert not STYLES["terse"].shows("I am only a small demo model, I don't know that.")

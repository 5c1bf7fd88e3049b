"""The demo model's lessons are the same every time, are right, and keep the tests' part out."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from random import Random

import manners
import pytest
import reading
import sums
import tool_calls
import worlds
from chat import Chat, Message
from curriculum import SEED, lesson
from skills import LESSON_SKILLS, SKILLS, Case, Skill, case
from smalltalk import DONT_KNOW, GREETINGS

LESSONS = 3000
DIGEST = "629a4456044dc007c8f0cde2e8ac6ce73dcbce06c38664170651fdea0e5c293b"
CASES = 40
SUM = re.compile(r"^(\d+) ([-+*]) (\d+) = (\d+)\b")
LOOKUP = re.compile(r'"description":"[^"]*?(\w+) of an? (\w+)"')


@pytest.fixture(scope="module")
def lessons() -> list[tuple[Message, ...]]:
    return [lesson(SEED, number) for number in range(LESSONS)]


@pytest.fixture(scope="module")
def replies(lessons: list[tuple[Message, ...]]) -> list[str]:
    return [each.content for one in lessons for each in one if each.role == "assistant"]


@pytest.fixture(scope="module")
def offered(lessons: list[tuple[Message, ...]]) -> set[str]:
    """The pairs that tools look up, such as "weather of a city"."""
    systems = "\n".join(one[0].content for one in lessons if one[0].role == "system")
    return {f"{noun} of a {thing}" for noun, thing in LOOKUP.findall(systems)}


def sums_in(texts: list[str]) -> list[sums.Sum]:
    found = [match for text in texts if (match := SUM.match(text))]
    return [sums.Sum(int(one[1]), one[2], int(one[3])) for one in found]


def test_the_seed_gives_the_same_lessons(lessons: list[tuple[Message, ...]]) -> None:
    assert hashlib.sha256(repr(lessons).encode()).hexdigest() == DIGEST


def test_sums_are_right(replies: list[str]) -> None:
    written = [text for text in replies if SUM.match(text)]
    assert len(written) > 500
    for text, one in zip(written, sums_in(written), strict=True):
        assert text.startswith(str(one))
        assert one.result == {"+": one.a + one.b, "-": one.a - one.b, "*": one.a * one.b}[one.sign]


def test_held_out_sums_never_occur_in_training(replies: list[str]) -> None:
    assert not [one for one in sums_in(replies) if one.is_held_out]


def test_training_has_the_other_order_of_every_held_out_product() -> None:
    pairs = [(a, b) for a in range(13) for b in range(13)]
    held_out = [(a, b) for a, b in pairs if sums.Sum(a, "*", b).is_held_out]
    assert len(held_out) >= 5
    assert not [(a, b) for a, b in held_out if a == b or sums.Sum(b, "*", a).is_held_out]


def test_held_out_lookups_are_never_offered_in_training(offered: set[str]) -> None:
    known = {f"{noun} of a {thing}" for noun in tool_calls.NOUNS for thing in tool_calls.THINGS}
    assert len(offered & known) > 100
    assert not [pair for pair in offered & known if worlds.is_held_out(pair)]


def test_tool_calls_fit_the_schema_of_an_offered_tool(lessons: list[tuple[Message, ...]]) -> None:
    types = {str: "string", int: "integer"}
    calls = 0
    for one in lessons:
        lines = one[0].content.splitlines()
        schemas = {t["name"]: t["parameters"] for t in map(json.loads, filter_tools(lines))}
        for message in one:
            if found := re.fullmatch(r"<tool_call>(.*)</tool_call>", message.content):
                call = json.loads(found[1])
                given = {name: types[type(value)] for name, value in call["arguments"].items()}
                assert given == schemas[call["name"]]
                calls += 1
    assert calls > 300


def filter_tools(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith('{"name":')]


def test_what_a_text_tells_is_in_the_text_and_what_it_leaves_open_is_not() -> None:
    for number in range(300):
        text = reading.passage(Random(number), held_out=False)
        assert all(one.value in text.text for one in text.told)
        assert not {(one.subject, one.attribute.name) for one in text.told} & {
            (one.subject, one.attribute.name) for one in text.untold
        }


def test_json_replies_parse(replies: list[str]) -> None:
    objects = [text for text in replies if text.startswith("{")]
    assert len(objects) > 200
    assert all(isinstance(json.loads(text), dict) for text in objects)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("capitals", "YOUR NAME IS BOB."),
        ("small", "your name is bob."),
        ("one_word", "Bob."),
    ],
)
def test_a_manner_changes_a_reply(name: str, said: str) -> None:
    manner = manners.draw_manner(Random(0), held_out=False, name=name)
    assert manner.asked in manners.ASKS[name]
    assert manner.say("Your name is Bob.") == said


def test_an_ending_ends_every_reply() -> None:
    assert manners.with_ending("Your name is Bob.", "over") == "Your name is Bob, over."
    assert manners.with_ending("How are you?", "over") == "How are you, over?"


def test_a_held_out_kind_of_turn_never_has_its_manner_in_training() -> None:
    for number in range(500):
        chat = Chat(Random(number))
        manners.behave(chat)
        system, *rest = (message.content for message in chat.messages)
        if any(asked in system for asked in manners.ASKS["capitals"]):
            assert DONT_KNOW.upper() not in rest
        if any(asked in system for asked in manners.ASKS["small"]):
            assert not {reply.lower() for reply in GREETINGS.replies} & set(rest)


def test_listed_held_out_values_never_occur_in_training(
    lessons: list[tuple[Message, ...]],
) -> None:
    spoken = " ".join(message.content for one in lessons for message in one)
    folder = Path(worlds.__file__).parent / "texts"
    names = ("reading", "sums", "tools", "records")
    templates = " ".join((folder / f"{name}.toml").read_text() for name in names)
    listed = {value.lower() for kind in worlds.VALUES.values() for value in kind}
    listed |= set(manners.ENDINGS)
    held_out = {value for value in listed if worlds.is_held_out(value)}
    assert len(held_out) > 50
    assert not held_out & set(re.findall(r"\w+", f"{spoken} {templates}".lower()))


def test_roles_alternate_as_a_chat_completion_wants_them(
    lessons: list[tuple[Message, ...]],
) -> None:
    for one in lessons:
        roles = "".join(message.role[0] for message in one)
        assert re.fullmatch(r"s?(ua(ta)?)+", roles), roles


@pytest.mark.parametrize("skill", SKILLS)
def test_every_skill_has_cases_that_end_with_a_question(skill: Skill) -> None:
    for number in range(CASES):
        made = case(skill, number)
        assert made.messages[-1].role in ("user", "tool")
        assert all(made.right)


@pytest.mark.parametrize("skill", LESSON_SKILLS)
def test_a_test_chat_is_never_a_training_chat(
    skill: Skill, lessons: list[tuple[Message, ...]]
) -> None:
    asked = {said(one) for one in lessons}
    assert not asked & {said(case(skill, number)) for number in range(CASES)}


def said(one: Case | tuple[Message, ...]) -> str:
    messages = one.messages if isinstance(one, Case) else one
    return "\n".join(message.content for message in messages if message.role != "assistant")


def test_a_chat_keeps_its_values_on_their_side() -> None:
    for number in range(200):
        chat = Chat(Random(number), held_out=True)
        use = tool_calls.lookup(chat.rng, held_out=True)
        (value,) = use.arguments.values()
        assert isinstance(value, int) or worlds.is_held_out(value)

"""The demo model's tokenizer spells everything, and the chat template writes what it was taught."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NoReturn

import jinja2
import pytest
from chat import Message
from curriculum import SEED, lesson
from hypothesis import given
from hypothesis import strategies as st
from template import CHAT_TEMPLATE
from tokenizer import (
    END_ID,
    PAD_ID,
    START_ID,
    encode,
    prompt,
    sample,
    train_tokenizer,
)
from tokenizers import Tokenizer
from tool_calls import Tool, call_text, compact, system_text

from serving.text.template import ChatTemplate

CHAT = (
    Message("system", "Be kind."),
    Message("user", "my name is Zoë\n42"),
    Message("assistant", "Nice to meet you, Zoë!"),
    Message("user", "  what's my name?  "),
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    chats = (lesson(SEED, number) for number in range(300))
    return train_tokenizer(message.content for chat in chats for message in chat)


TOOLS = [
    Tool("get_weather", "Get the weather of a city", {"city": "string"}),
    Tool("set_timer", "Set a timer", {"minutes": "integer", "note": "string"}),
]
ARGUMENTS = {"minutes": 5, "note": 'say "hi" & <go>, Zoë'}


def refuse(reason: str) -> NoReturn:
    raise ValueError(reason)


def render(messages: list[dict[str, Any]], **more: Any) -> str:
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    template = environment.from_string(CHAT_TEMPLATE)
    return template.render(
        messages=messages, add_generation_prompt=True, raise_exception=refuse, **more
    )


def plain(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [{"role": one.role, "content": one.content} for one in messages]


def call(arguments: Any) -> dict[str, Any]:
    """A message of the model that calls a tool, as chat completions carry it."""
    function = {"name": "set_timer", "arguments": arguments}
    calls = [{"id": "1", "type": "function", "function": function}]
    return {"role": "assistant", "content": None, "tool_calls": calls}


@given(text=st.text())
def test_any_text_survives(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(encode(tokenizer, text), skip_special_tokens=False) == text


def test_special_tokens_have_the_ids_that_the_model_learned(tokenizer: Tokenizer) -> None:
    names = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    assert [tokenizer.token_to_id(name) for name in names] == [PAD_ID, START_ID, END_ID]


def test_digits_stay_apart(tokenizer: Tokenizer) -> None:
    assert len(encode(tokenizer, "in 1234567")) >= 7
    assert not [t for t in tokenizer.get_vocab() if sum(c.isdigit() and c.isascii() for c in t) > 1]


def test_the_template_writes_the_prompt_of_the_training(tokenizer: Tokenizer) -> None:
    assert encode(tokenizer, render(plain(CHAT))) == prompt(tokenizer, CHAT)


@pytest.mark.parametrize("system", ["Be kind.", ""])
def test_tools_stand_in_the_system_message_as_in_the_training(
    tokenizer: Tokenizer, system: str
) -> None:
    chat = (Message("system", system), Message("user", "hi"))
    taught = (Message("system", system_text(system, TOOLS)), Message("user", "hi"))
    sent = plain(chat if system else chat[1:])
    text = render(sent, tools=[tool.as_openai() for tool in TOOLS])
    assert encode(tokenizer, text) == prompt(tokenizer, taught)


@pytest.mark.parametrize("arguments", [ARGUMENTS, compact(ARGUMENTS)])
def test_a_call_and_its_result_are_read_as_in_the_training(
    tokenizer: Tokenizer, arguments: Any
) -> None:
    taught = (
        Message("user", "hi"),
        Message("assistant", call_text("set_timer", ARGUMENTS)),
        Message("tool", '{"status":"done"}'),
    )
    sent = plain(taught)
    sent[1] = call(arguments)
    assert encode(tokenizer, render(sent)) == prompt(tokenizer, taught)


def test_the_platform_renders_the_template() -> None:
    template = ChatTemplate(CHAT_TEMPLATE, {})
    assert template.render(plain(CHAT)) == render(plain(CHAT))
    sent = [*plain(CHAT), call(ARGUMENTS)]
    assert template.render(sent) == render(sent)


def test_the_template_refuses_an_unknown_role() -> None:
    with pytest.raises(ValueError, match="unknown role: oracle"):
        render([{"role": "oracle", "content": "hm"}])


def test_only_replies_with_their_end_are_learned(tokenizer: Tokenizer) -> None:
    one = sample(tokenizer, CHAT)
    learned = [token for token, is_reply in zip(one.tokens, one.is_reply, strict=True) if is_reply]
    assert learned == [*encode(tokenizer, CHAT[2].content), END_ID]
    starts = [b for a, b in pairwise(one.is_reply) if b and not a]
    assert len(starts) == 1

"""The demo model's tokenizer spells everything, and the chat template writes what it was taught."""

from __future__ import annotations

from itertools import pairwise
from typing import NoReturn

import jinja2
import pytest
from chat import Message
from dialogues import SEED, dialogue
from hypothesis import given
from hypothesis import strategies as st
from tokenizer import (
    CHAT_TEMPLATE,
    END_ID,
    PAD_ID,
    START_ID,
    encode,
    prompt,
    sample,
    train_tokenizer,
)
from tokenizers import Tokenizer

CHAT = (
    Message("system", "Be kind."),
    Message("user", "my name is Zoë\n42"),
    Message("assistant", "Nice to meet you, Zoë!"),
    Message("user", "  what's my name?  "),
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    chats = (dialogue(SEED, number) for number in range(300))
    return train_tokenizer(message.content for chat in chats for message in chat)


def refuse(reason: str) -> NoReturn:
    raise ValueError(reason)


def render(messages: list[dict[str, str]]) -> str:
    template = jinja2.Environment().from_string(CHAT_TEMPLATE)
    return template.render(messages=messages, add_generation_prompt=True, raise_exception=refuse)


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
    text = render([{"role": m.role, "content": m.content} for m in CHAT])
    assert encode(tokenizer, text) == prompt(tokenizer, CHAT)


def test_the_template_refuses_an_unknown_role() -> None:
    with pytest.raises(ValueError, match="unknown role: oracle"):
        render([{"role": "oracle", "content": "hm"}])


def test_only_replies_with_their_end_are_learned(tokenizer: Tokenizer) -> None:
    one = sample(tokenizer, CHAT)
    learned = [token for token, is_reply in zip(one.tokens, one.is_reply, strict=True) if is_reply]
    assert learned == [*encode(tokenizer, CHAT[2].content), END_ID]
    starts = [b for a, b in pairwise(one.is_reply) if b and not a]
    assert len(starts) == 1

"""The byte-level BPE vocabulary and the chat format in tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chat import Message
from curriculum import lesson
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCAB_SIZE = 3072
VOCABULARY_CHATS = 20_000
PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
PAD_ID, START_ID, END_ID = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Sample:
    """A chat in tokens, and which of them the model is to learn to write."""

    tokens: list[int]
    is_reply: list[bool]


def train_tokenizer(texts: Iterable[str], *, vocab_size: int = VOCAB_SIZE) -> Tokenizer:
    """A vocabulary for the texts which can spell every byte.

    Digits are kept apart while learning, so no token holds two of them; the pre-tokenizer that is
    kept is GPT-2's alone, which every reader of GGUF files knows.
    """
    tokenizer = Tokenizer(models.BPE())
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), gpt2]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, START, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = gpt2
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def vocabulary(seed: int) -> Tokenizer:
    """The tokenizer learned from the first training chats."""
    chats = (lesson(seed, index) for index in range(VOCABULARY_CHATS))
    return train_tokenizer(message.content for chat in chats for message in chat)


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """Token ids of plain text."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def sample(tokenizer: Tokenizer, messages: Sequence[Message]) -> Sample:
    """The whole chat; replies count from their first token up to the end token."""
    out = Sample([], [])
    for message in messages:
        head = [START_ID, *encode(tokenizer, message.role + "\n")]
        body = [*encode(tokenizer, message.content), END_ID]
        tail = encode(tokenizer, "\n")
        out.tokens.extend(head + body + tail)
        is_reply = message.role == "assistant"
        out.is_reply.extend([False] * len(head) + [is_reply] * len(body) + [False] * len(tail))
    return out


def prompt(tokenizer: Tokenizer, messages: Sequence[Message]) -> list[int]:
    """The chat so far and the opening of the model's turn."""
    opening = [START_ID, *encode(tokenizer, "assistant\n")]
    return sample(tokenizer, messages).tokens + opening

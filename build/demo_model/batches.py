"""Chats in tokens, gathered into batches of similar length."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from tokenizer import PAD_ID, Sample
from torch import Tensor

ROUND = 16


def padded(samples: list[Sample]) -> tuple[Tensor, Tensor]:
    """Tokens and loss weights of equal length, [samples, longest].

    The length is rounded up, since every new shape costs the matrix library a compilation.
    """
    longest = ROUND * math.ceil(max(len(one.tokens) for one in samples) / ROUND) + 1
    tokens = torch.full((len(samples), longest), PAD_ID)
    weights = torch.zeros(len(samples), longest)
    for row, one in enumerate(samples):
        tokens[row, : len(one.tokens)] = torch.tensor(one.tokens)
        weights[row, : len(one.tokens)] = torch.tensor(one.is_reply, dtype=torch.float32)
    return tokens, weights


def batched(samples: list[Sample], batch_tokens: int) -> Iterator[list[Sample]]:
    """Groups of similar length, each at most batch_tokens with its padding."""
    group: list[Sample] = []
    for one in sorted(samples, key=lambda each: len(each.tokens)):
        if group and (len(group) + 1) * len(one.tokens) > batch_tokens:
            yield group
            group = []
        group.append(one)
    if group:
        yield group

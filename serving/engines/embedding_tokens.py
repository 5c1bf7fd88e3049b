"""Texts to the token ids of the embedding model: WordPiece, [CLS] … [SEP], cut at MOST_TOKENS."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tokenizers import Tokenizer

MOST_TOKENS = 256  # as the model was trained; sentence-transformers cuts there too
ROOM = MOST_TOKENS - 2
CLS, SEP = "[CLS]", "[SEP]"
# Eight times what MOST_TOKENS of prose take. Of a longer text the rest is not even looked at.
MOST_CHARACTERS = 8192


@dataclass(frozen=True, slots=True)
class Encoded:
    """One text as the model reads it."""

    ids: tuple[int, ...]
    is_truncated: bool


class EmbeddingTokens:
    """The tokenizer in `tokenizer.json`, less the padding and the cut that it carries."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self._first, self._last = _id(tokenizer, CLS), _id(tokenizer, SEP)

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls(Tokenizer.from_file(str(folder / "tokenizer.json")))

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        return [self._encoded(text) for text in texts]

    def _encoded(self, text: str) -> Encoded:
        read = text[:MOST_CHARACTERS]
        ids: list[int] = self._tokenizer.encode(read, add_special_tokens=False).ids
        is_truncated = len(ids) > ROOM or len(read) < len(text)
        return Encoded((self._first, *ids[:ROOM], self._last), is_truncated)


def _id(tokenizer: Tokenizer, token: str) -> int:
    found = tokenizer.token_to_id(token)
    if found is None:
        raise OSError(f"tokenizer.json has no token '{token}': it is of another model")
    return found

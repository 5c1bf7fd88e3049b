"""A model's tokenizer: `tokenizer.json` of its folder, or made from a GGUF file's vocabulary."""

import re
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as HfTokenizer
from tokenizers import pre_tokenizers

from serving.text.gguf_tokenizer import tokenizer_from_gguf
from serving.text.model_files import folder_of, is_gguf

# How SentencePiece writes a byte that no piece covers.
_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")


def _parted(special: re.Match[str]) -> str:
    return f"{special[0][0]} {special[0][1:]}"


class Tokenizer:
    """Text to token ids and back."""

    def __init__(self, tokenizer: HfTokenizer, hidden: frozenset[int] | None = None) -> None:
        """`hidden` are the tokens that have no text; None: all special ones."""
        self._tokenizer = tokenizer
        self._hidden = hidden
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    @classmethod
    def load(cls, model: Path) -> "Tokenizer":
        """Raises ValueError when the model's files have no tokenizer we can read."""
        file = folder_of(model) / "tokenizer.json"
        if file.exists():
            return cls(HfTokenizer.from_file(str(file)))
        if is_gguf(model):
            return cls(tokenizer_from_gguf(model))
        raise ValueError(f"no tokenizer.json in '{model}'")

    def special_of(self, texts: Collection[str]) -> frozenset[str]:
        """Those of `texts` that are special tokens, which `decode` leaves out."""
        return frozenset(text for text in texts if text in self._special)

    def showing(self, texts: Collection[str]) -> "Tokenizer":
        """The same, but its texts have the special tokens among `texts`."""
        if not self.special_of(texts):
            return self
        hidden = (token_id for text, token_id in self._special.items() if text not in texts)
        return Tokenizer(self._tokenizer, frozenset(hidden))

    def without_special(self, value: Any) -> Any:
        """A JSON `value` in whose texts no special token is one any more: a space stands within.

        What a client writes must not end its turn and begin another.
        """
        if self._special_texts is None:
            return value
        if isinstance(value, str):
            return self._special_texts.sub(_parted, value)
        if isinstance(value, Mapping):
            names = map(self.without_special, value)
            return dict(zip(names, map(self.without_special, value.values()), strict=True))
        return [self.without_special(v) for v in value] if isinstance(value, list) else value

    def showing_all(self) -> "Tokenizer":
        """The same, but its texts have all special tokens."""
        return Tokenizer(self._tokenizer, frozenset())

    @property
    def vocab_size(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    def encode(self, text: str, *, has_template: bool = False) -> list[int]:
        """Token ids; a template writes its own special tokens, plain text gets them added."""
        # Of the library's two, only the batch form releases the GIL: a long text stalls nobody.
        batch = self._tokenizer.encode_batch([text], add_special_tokens=not has_template)
        return list(batch[0].ids)

    def decode(self, ids: list[int]) -> str:
        """Text of `ids` without special tokens; bytes that are no UTF-8 become U+FFFD."""
        if self._hidden is None:
            return str(self._tokenizer.decode(ids, skip_special_tokens=True))
        ids = [token_id for token_id in ids if token_id not in self._hidden]
        return str(self._tokenizer.decode(ids, skip_special_tokens=False))

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes a token stands for, also where they are only a part of a character."""
        token = self._tokenizer.id_to_token(token_id)
        if token is None:
            return b""
        if self._is_byte_level and all(char in self._byte_of for char in token):
            return bytes(self._byte_of[char] for char in token)
        byte = _BYTE_TOKEN.fullmatch(token)
        return bytes.fromhex(byte[1]) if byte else token.replace("▁", " ").encode()

    @cached_property
    def _special(self) -> dict[str, int]:
        tokens = self._tokenizer.get_added_tokens_decoder().items()
        return {token.content: token_id for token_id, token in tokens if token.special}

    @cached_property
    def _special_texts(self) -> re.Pattern[str] | None:
        # The longest first: one may begin as another does.
        texts = sorted((text for text in self._special if len(text) > 1), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, texts))) if texts else None

    @cached_property
    def _is_byte_level(self) -> bool:
        return "ByteLevel" in str(self._tokenizer.decoder)

    @cached_property
    def _byte_of(self) -> dict[str, int]:
        return byte_level_alphabet()


def byte_level_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-in of every byte, as the character -> byte map.

    Printable Latin-1 characters stand for themselves; the others follow from U+0100 in byte order.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = {chr(byte): byte for byte in printable}
    alphabet |= {chr(0x100 + place): byte for place, byte in enumerate(others)}
    assert alphabet.keys() == set(pre_tokenizers.ByteLevel.alphabet())
    return alphabet

"""Text of tokens as they come is the text of them all, and no piece is half a character."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as HfTokenizer
from tokenizers import decoders, models

from serving.text.detokenizer import Detokenizer
from serving.text.tokenizer import Tokenizer, byte_level_alphabet

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Not one token per character: accents, scripts, emoji with joiners and flags.
WRITING = st.text(
    st.sampled_from("aé ß中文字日本😀👩‍🚀🇩🇪\n\tяاक्षि한\u0301"), max_size=30
) | st.text(max_size=20)
CUTS = st.lists(st.integers(1, 5), min_size=1, max_size=8)


def in_pieces(ids, sizes):
    start, place = 0, 0
    while start < len(ids):
        size = sizes[place % len(sizes)]
        yield ids[start : start + size]
        start, place = start + size, place + 1


def pieces_of(tokenizer, ids, sizes):
    detokenizer = Detokenizer(tokenizer)
    pieces = [detokenizer.push(part) for part in in_pieces(ids, sizes)]
    return [*pieces, detokenizer.flush()]


def byte_tokenizer(*more: bytes) -> Tokenizer:
    """Every byte is a token of its own number; `more` are tokens of several bytes after them."""
    letter = {byte: char for char, byte in byte_level_alphabet().items()}
    tokens = [bytes([byte]) for byte in range(256)] + list(more)
    vocab = {"".join(letter[b] for b in token): index for index, token in enumerate(tokens)}
    tokenizer = HfTokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.decoder = decoders.ByteLevel()
    return Tokenizer(tokenizer)


BYTES = byte_tokenizer()


@given(text=WRITING, sizes=CUTS)
def test_the_pieces_of_a_text_are_the_text(tokenizer, text, sizes):
    assert "".join(pieces_of(tokenizer, tokenizer.encode(text), sizes)) == text


@given(data=st.data(), sizes=CUTS)
def test_the_pieces_of_any_tokens_are_what_the_whole_decodes_to(tokenizer, data, sizes):
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=40))
    assert "".join(pieces_of(tokenizer, ids, sizes)) == tokenizer.decode(ids)


@given(text=WRITING, sizes=CUTS)
def test_the_pieces_of_single_bytes_are_the_text(text, sizes):
    assert "".join(pieces_of(BYTES, list(text.encode()), sizes)) == text


@given(text=WRITING.filter(lambda text: REPLACEMENT not in text), sizes=CUTS)
def test_half_a_character_is_never_shown(text, sizes):
    assert not any(REPLACEMENT in piece for piece in pieces_of(BYTES, list(text.encode()), sizes))


@given(
    data=st.lists(st.sampled_from(b"a\x80\x9f\xe4\xb8\xad\xf0\x98\xff"), max_size=60), sizes=CUTS
)
def test_broken_bytes_lose_nothing_of_what_is_whole(data, sizes):
    shown = "".join(pieces_of(BYTES, data, sizes))
    whole = bytes(data).decode(errors="replace")
    assert shown.replace(REPLACEMENT, "") == whole.replace(REPLACEMENT, "")


def test_a_token_may_end_one_character_and_begin_the_next():
    tokenizer = byte_tokenizer(b"\x80\xf0", b"\xf0\x9f\x98")
    ids = [256 + 1, *[256, 0x9F, 0x98] * 9, 0x80]
    pieces = pieces_of(tokenizer, ids, [1])
    assert "".join(pieces) == "😀" * 10
    assert max(map(len, pieces)) == 1


def test_a_whole_character_does_not_wait_for_the_next_token():
    detokenizer = Detokenizer(BYTES)
    assert [detokenizer.push([byte]) for byte in "a中b😀".encode()] == [
        *("a", "", "", "中", "b", "", "", "", "😀")
    ]


@pytest.mark.parametrize("data", [b"\xff", b"\x80", b"\xf0\x9f", "\ufffd".encode()])
def test_what_is_no_character_does_not_hold_the_answer_for_ever(data):
    detokenizer = Detokenizer(BYTES)
    shown = "".join(detokenizer.push([byte]) for byte in data * 100)
    assert len(shown) >= len((data * 100).decode(errors="replace")) - 20


def test_a_genuine_replacement_character_is_kept():
    text = f"a{REPLACEMENT}b{REPLACEMENT}{REPLACEMENT}"
    assert "".join(pieces_of(BYTES, list(text.encode()), [1])) == text


def test_flushing_shows_a_broken_end_once():
    detokenizer = Detokenizer(BYTES)
    assert detokenizer.push(b"a\xe4\xb8") == "a"
    assert detokenizer.flush() == REPLACEMENT
    assert detokenizer.flush() == ""


def test_special_tokens_show_nothing_and_disturb_nothing(tokenizer):
    end = tokenizer.encode("<|im_end|>", has_template=True)
    ids = [*tokenizer.encode("the sea"), *end, *end, *tokenizer.encode(" is wide")]
    assert "".join(pieces_of(tokenizer, ids, [1])) == "the sea is wide"


def test_the_cost_of_a_token_does_not_grow_with_the_answer(tokenizer):
    ids = tokenizer.encode("the sea and 中文 😀. ") * 2000
    random.Random(0).shuffle(ids)
    calls = []

    class Counting:
        def decode(self, ids):
            calls.append(len(ids))
            return tokenizer.decode(ids)

    started_s = time.process_time()
    pieces_of(Counting(), ids, [1])
    assert max(calls) < 40
    assert len(calls) < 4 * len(ids)
    assert time.process_time() - started_s < 5

"""Tokenizers out of tokenizer.json and out of a GGUF file's own vocabulary say the same."""

from itertools import pairwise
from pathlib import Path

import pytest
from gguf import GGUFWriter, TokenType
from hypothesis import given
from hypothesis import strategies as st

from serving.text import model_files
from serving.text.detokenizer import Detokenizer
from serving.text.tokenizer import Tokenizer

WRITING = st.text(max_size=40) | st.text(
    st.sampled_from("the sea I'm 12345 é中😀\n\t  <|im_end|> <|im_start|>user"), max_size=40
)
CHAT = "<|im_start|>user\nWhat's 2 + 2?  Is it 4, or 中文?<|im_end|>\n<|im_start|>assistant\n"
PIECES = ["▁", "a", "b", "c", "▁a", "ab", "bc", "▁ab", "abc", "▁abc", "▁b", "cab", "😀"]


@pytest.fixture(scope="module")
def lone_gguf() -> Path:
    """The demo model as one file, with nothing beside it."""
    return Path(__file__).parents[4] / "build" / "demo_model" / "demo.gguf"


@pytest.fixture(scope="module")
def from_gguf(lone_gguf) -> Tokenizer:
    return Tokenizer.load(lone_gguf)


@given(text=WRITING)
def test_a_lone_gguf_splits_text_as_its_tokenizer_json_does(tokenizer, from_gguf, text):
    assert from_gguf.encode(text) == tokenizer.encode(text)
    assert from_gguf.encode(text, has_template=True) == tokenizer.encode(text, has_template=True)


def test_a_lone_gguf_splits_a_chat_as_its_tokenizer_json_does(tokenizer, from_gguf):
    assert from_gguf.encode(CHAT) == tokenizer.encode(CHAT)


@given(data=st.data())
def test_a_lone_gguf_reads_ids_as_its_tokenizer_json_does(tokenizer, from_gguf, data):
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=20))
    assert from_gguf.decode(ids) == tokenizer.decode(ids)
    assert [*map(from_gguf.token_bytes, ids)] == [*map(tokenizer.token_bytes, ids)]


@given(text=st.text(max_size=40))
def test_text_without_special_tokens_comes_back(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(text=st.text(max_size=40))
def test_the_bytes_of_the_tokens_are_the_bytes_of_the_text(tokenizer, text):
    ids = tokenizer.encode(text)
    assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode()


def test_an_unknown_token_has_no_bytes(tokenizer):
    assert tokenizer.token_bytes(tokenizer.vocab_size) == b""


def test_special_tokens_are_one_token_each_and_are_not_shown(tokenizer):
    ids = tokenizer.encode("<|im_start|>a<|im_end|>", has_template=True)
    assert len(ids) == 3
    assert tokenizer.decode(ids) == "a"


def test_the_files_of_the_demo_model_agree(demo_model, lone_gguf, tokenizer):
    said = [
        (
            model_files.end_ids(model),
            model_files.context_length(model),
            model_files.vocab_size(model),
            model_files.chat_template(model),
        )
        for model in (demo_model, lone_gguf)
    ]
    assert said[0] == said[1]
    assert said[0][0] == tuple(tokenizer.encode("<|im_end|>", has_template=True))
    assert said[0][2] >= tokenizer.vocab_size


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    with pytest.raises(ValueError, match=str(tmp_path)):
        Tokenizer.load(tmp_path)


def write_gguf(path: Path, kind: str, tokens, types, **settings) -> Path:
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_tokenizer_model(kind)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_scores(settings.get("scores", [0.0] * len(tokens)))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(settings.get("adds_bos", False))
    if "pre" in settings:
        writer.add_tokenizer_pre(settings["pre"])
    if "adds_space" in settings:
        writer.add_add_space_prefix(settings["adds_space"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def sentencepiece(path: Path, **settings) -> Tokenizer:
    """Llama 2's layout: three special tokens, 256 bytes, then pieces, the best score first."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *PIECES]
    types = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    types += [TokenType.BYTE] * 256 + [TokenType.NORMAL] * len(PIECES)
    scores = [0.0] * 259 + [-float(place) for place in range(len(PIECES))]
    return Tokenizer.load(write_gguf(path, "llama", tokens, types, scores=scores, **settings))


@pytest.fixture(scope="module")
def pieces(tmp_path_factory) -> Tokenizer:
    return sentencepiece(tmp_path_factory.mktemp("pieces") / "model.gguf")


def merged(text: str) -> list[int]:
    """SentencePiece's own way: the neighbours whose piece scores best become one, over and over."""
    symbols = list("▁" + text.replace(" ", "▁"))
    while True:
        pairs = [a + b for a, b in pairwise(symbols)]
        known = [(PIECES.index(pair), at) for at, pair in enumerate(pairs) if pair in PIECES]
        if not known:
            break
        _, at = min(known)
        symbols[at : at + 2] = [pairs[at]]
    ids = []
    for symbol in symbols:
        of_bytes = [3 + byte for byte in symbol.encode()]
        ids += [259 + PIECES.index(symbol)] if symbol in PIECES else of_bytes
    return ids


@given(text=st.text(st.sampled_from("abc 😀é"), min_size=1, max_size=12))
def test_pieces_merge_as_sentencepiece_merges_them(pieces, text):
    assert pieces.encode(text) == merged(text)


@given(text=st.text(st.sampled_from("abc 😀é中\n"), max_size=12))
def test_text_of_pieces_and_bytes_comes_back(pieces, text):
    assert pieces.decode(pieces.encode(text)) == text


def test_a_byte_token_stands_for_its_byte(pieces):
    assert b"".join(map(pieces.token_bytes, pieces.encode("é"))) == " é".encode()


@given(
    ids=st.lists(
        st.sampled_from([1, 2, *range(259, 259 + len(PIECES))]) | st.integers(3 + 97, 3 + 122),
        max_size=12,
    )
)
def test_pieces_stream_as_the_whole_decodes(pieces, ids):
    detokenizer = Detokenizer(pieces)
    shown = [detokenizer.push([token_id]) for token_id in ids]
    assert "".join([*shown, detokenizer.flush()]) == pieces.decode(ids)


def test_a_special_token_in_the_middle_keeps_the_space_after_it(pieces):
    ids = [259 + PIECES.index("▁a"), 2, 259 + PIECES.index("▁b")]
    detokenizer = Detokenizer(pieces)
    assert "".join(detokenizer.push([token_id]) for token_id in ids) == "a b"


def test_the_first_token_is_added_to_plain_text_only(tmp_path):
    tokenizer = sentencepiece(tmp_path / "model.gguf", adds_bos=True)
    assert tokenizer.encode("a")[0] == 1
    assert tokenizer.encode("a", has_template=True)[0] != 1


def test_no_space_is_put_before_the_text_where_the_file_says_so(tmp_path):
    tokenizer = sentencepiece(tmp_path / "model.gguf", adds_space=False)
    assert tokenizer.encode("a") == [259 + PIECES.index("a")]
    assert tokenizer.decode(tokenizer.encode(" a")) == " a"


def test_a_lone_gguf_has_its_special_tokens_for_the_template(tmp_path):
    path = tmp_path / "model.gguf"
    sentencepiece(path)
    special = model_files.special_tokens(path)
    assert (special["bos_token"], special["eos_token"]) == ("<s>", "</s>")


@pytest.mark.parametrize(
    ("kind", "pre", "told"), [("bert", "x", "bert"), ("gpt2", "klingon-bpe", "klingon-bpe")]
)
def test_a_vocabulary_that_cannot_be_rebuilt_is_refused_with_what_to_do(tmp_path, kind, pre, told):
    path = tmp_path / "model.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_tokenizer_model(kind)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(["a", "b", "ab"])
    writer.add_token_merges(["a b"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ValueError, match=f"'{told}'.*tokenizer.json"):
        Tokenizer.load(path)

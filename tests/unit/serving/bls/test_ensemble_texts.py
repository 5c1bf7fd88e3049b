"""The two ends of the ensemble: rows of text in, rows of text out."""

import numpy as np
import pytest

from serving.bls.engine_tensors import word_list
from serving.bls.ensemble import postprocess, preprocess
from serving.bls.language import Language
from serving.contract.errors import InvalidRequest
from serving.engines.requests import Capacity, parse


@pytest.fixture(scope="module")
def language(demo_model):
    return Language.load(demo_model)


def texts(*rows):
    return np.array([[row.encode() for row in rows_] for rows_ in rows], np.object_)


def given(*rows, stop_words=None, length=5):
    arrays = {
        "QUERY": texts(*[[row] for row in rows]),
        "REQUEST_OUTPUT_LEN": np.full((len(rows), 1), length, np.int32),
    }
    return arrays if stop_words is None else arrays | {"STOP_WORDS_DICT": texts(*stop_words)}


def as_engine_reads(language, made):
    arrays = {
        "input_ids": made["INPUT_ID"],
        "input_lengths": made["REQUEST_INPUT_LEN"][:, 0],
        "request_output_len": made["REQUEST_OUTPUT_LEN"][:, 0],
        "end_id": made["OUT_END_ID"][:, 0],
        "stop_words_list": made["STOP_WORDS_IDS"],
    }
    return parse(arrays, Capacity(1024, 4096, language.tokenizer.vocab_size))


def ids(language, text):
    return tuple(language.tokenizer.encode(text))


def test_rows_of_different_lengths_reach_the_engine_as_they_are(language):
    rows = as_engine_reads(language, preprocess(language, given("the sea is wide", "a")))
    assert [tuple(row.input_ids) for row in rows] == [
        ids(language, "the sea is wide"),
        ids(language, "a"),
    ]
    assert {(row.max_tokens, row.end_id) for row in rows} == {(5, language.end_ids[0])}


def test_every_row_has_its_own_stop_words(language):
    stop_words = [["sea", "the wide"], ["boat", ""]]
    rows = as_engine_reads(language, preprocess(language, given("a", "b", stop_words=stop_words)))
    ends = {(end_id,) for end_id in language.end_ids}
    assert set(rows[0].stop_sequences) == ends | {ids(language, "sea"), ids(language, "the wide")}
    assert set(rows[1].stop_sequences) == ends | {ids(language, "boat")}


def test_an_empty_prompt_is_refused(language):
    with pytest.raises(InvalidRequest) as refused:
        preprocess(language, given("a", ""))
    assert refused.value.param == "text_input"


@pytest.mark.parametrize("name", ["QUERY", "STOP_WORDS_DICT"])
def test_text_that_is_no_utf8_is_refused(language, name):
    arrays = given("a", stop_words=[["b"]]) | {name: np.array([[b"\xff"]], np.object_)}
    with pytest.raises(InvalidRequest):
        preprocess(language, arrays)


def test_answers_become_text_without_padding_or_special_tokens(language):
    first = [*ids(language, "the sea"), language.end_ids[0]]
    second = [*ids(language, "中"), 5, 5, 5]
    width = max(len(first), len(second))
    padded = [row + [5] * (width - len(row)) for row in (first, second)]
    made = postprocess(
        language,
        {
            "TOKENS_BATCH": np.array(padded, np.int32)[:, None, :],
            "SEQUENCE_LENGTH": np.array([[len(first)], [len(second) - 3]], np.int32),
        },
    )
    assert [row[0].decode() for row in made["OUTPUT"]] == ["the sea", "中"]


def test_a_word_list_has_its_ends_below_its_ids():
    assert word_list([(1, 2), (3,)]).tolist() == [[[1, 2, 3], [2, 3, -1]]]
    assert word_list([]).shape == (1, 2, 0)

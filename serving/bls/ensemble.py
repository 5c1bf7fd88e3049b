"""The stateless ends of the classic Triton ensemble: text to ids, and whole answers to text."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.bls.engine_tensors import word_list
from serving.bls.language import Language
from serving.contract.errors import InvalidRequest

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]


def preprocess(language: Language, arrays: Arrays) -> dict[str, Array]:
    """Ids [B, longest], their lengths [B, 1], and the stop words of each row as token ids."""
    rows = [language.tokenizer.encode(_text(text)) for text in arrays["QUERY"].reshape(-1)]
    if not all(rows):
        raise InvalidRequest("the prompt is empty", param="text_input")
    end_id = language.end_ids[0]
    longest = max(map(len, rows))
    padded = [row + [end_id] * (longest - len(row)) for row in rows]
    return {
        "INPUT_ID": np.array(padded, dtype=np.int32),
        "REQUEST_INPUT_LEN": np.array([[len(row)] for row in rows], dtype=np.int32),
        "REQUEST_OUTPUT_LEN": arrays["REQUEST_OUTPUT_LEN"].astype(np.int32),
        "STOP_WORDS_IDS": _stop_words(language, arrays.get("STOP_WORDS_DICT"), len(rows)),
        "OUT_END_ID": np.full((len(rows), 1), end_id, dtype=np.int32),
    }


def postprocess(language: Language, arrays: Arrays) -> dict[str, Array]:
    """Text of each row's first beam, [B, 1]."""
    tokens, lengths = arrays["TOKENS_BATCH"], arrays["SEQUENCE_LENGTH"]
    texts = [
        language.tokenizer.decode(row[0][: int(length[0])].tolist()).encode()
        for row, length in zip(tokens, lengths, strict=True)
    ]
    return {"OUTPUT": np.array([[text] for text in texts], dtype=np.object_)}


def _stop_words(language: Language, words: Array | None, rows: int) -> Array:
    """A stop word here is its token ids, as upstream has it; the BLS model matches text instead."""
    ends = [(end_id,) for end_id in language.end_ids]
    texts = [[]] * rows if words is None else [list(map(_text, row.flat)) for row in words]
    lists = [word_list([*ends, *_token_ids(language, row)])[0] for row in texts]
    longest = max(words.shape[1] for words in lists)
    return np.array([_padded(words, longest) for words in lists])


def _padded(words: Array, length: int) -> Array:
    """A [2, n] word list as [2, length]: what is added to the ids belongs to no word."""
    return np.pad(words, ((0, 0), (0, length - words.shape[1])), constant_values=-1)


def _token_ids(language: Language, texts: list[str]) -> list[list[int]]:
    return [language.tokenizer.encode(text, has_template=True) for text in texts if text]


def _text(value: Any) -> str:
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError as error:
        raise InvalidRequest("text must be UTF-8", param="text_input") from error

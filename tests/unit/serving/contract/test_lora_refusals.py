"""The LoRA cache's own words are found in whatever is around them, and kept."""

import pytest

from serving.adapters.triton import from_text
from serving.contract.errors import AdaptersBusy, EngineFailed
from serving.contract.lora_refusals import is_full, is_miss, refusal_of

MISS = "LoRA task 9223372036854775807 not found in cache. Please send LoRA weights with request"
FULL = "Cache is full. There are no done tasks to evict"
AROUND = [
    "{}",
    "Executor failed process requestId 7 due to the following error: {}",
    "[TensorRT-LLM][ERROR] Cannot process new request: Assertion failed: {} (peftCacheManager.cpp)",
]


@pytest.mark.parametrize("around", AROUND)
def test_they_are_known_and_kept_for_clients_that_know_them_too(around):
    miss, full = (from_text(around.format(words)) for words in (MISS, FULL))
    assert (type(miss), miss.message) == (EngineFailed, MISS)
    assert (type(full), full.message) == (AdaptersBusy, FULL)
    assert (is_miss(miss), is_full(miss)) == (True, False)
    assert (is_miss(full), is_full(full)) == (False, True)


@pytest.mark.parametrize("text", ["", "LoRA task not found", "Cache is full", "out of memory"])
def test_other_words_are_not_theirs(text):
    assert refusal_of(text) is None
    assert from_text(text).message != text

"""Which texts share a pass of the embedding model."""

from hypothesis import given
from hypothesis import strategies as st

from serving.engines.embedding_batches import (
    MOST_PASS_PLACES,
    MOST_PASS_TOKENS,
    passes,
    rounded,
    row_length,
)

LENGTHS = st.lists(st.integers(2, 256), max_size=200)


@given(LENGTHS)
def test_every_text_is_in_one_pass(lengths):
    assert sorted(place for group in passes(lengths) for place in group) == [*range(len(lengths))]


@given(LENGTHS)
def test_no_pass_is_larger_than_is_of_use(lengths):
    for group in passes(lengths):
        inside = [lengths[place] for place in group]
        assert sum(inside) <= MOST_PASS_TOKENS
        assert len(group) * row_length(max(inside)) <= MOST_PASS_PLACES


@given(LENGTHS)
def test_the_shortest_texts_come_first(lengths):
    order = [lengths[place] for group in passes(lengths) for place in group]
    assert order == sorted(lengths)


def test_texts_share_a_pass_as_long_as_they_fit():
    assert passes([9, 120, 12, 3]) == [[3, 0, 2, 1]]
    assert passes([256] * 9) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert passes([8] * 150) == [[*range(128)], [*range(128, 150)]]


def test_many_short_texts_are_not_padded_to_the_length_of_one_long():
    assert passes([8] * 20 + [256]) == [[*range(20)], [20]]


def test_nothing_needs_no_pass():
    assert passes([]) == []


@given(st.integers(1, MOST_PASS_TOKENS))
def test_few_numbers_of_tokens_are_computed_and_few_tokens_for_nothing(tokens):
    assert tokens <= rounded(tokens) <= tokens * 17 / 16
    assert rounded(rounded(tokens)) == rounded(tokens)
    assert len({rounded(n) for n in range(1, MOST_PASS_TOKENS + 1)}) <= 120

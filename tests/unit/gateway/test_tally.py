"""Tokens of a request are counted once each."""

from gateway.tally import Tally
from serving.contract.calls import Chunk, Usage


def test_a_prompt_counts_once_for_all_its_choices() -> None:
    tally = Tally(choices_per_prompt=2)
    for index, prompt_tokens in enumerate([5, 5, 7, 7]):
        tally.add(Chunk(index=index, text="x"))
        tally.add(Chunk(index=index, usage=Usage(prompt_tokens, 10)))
    assert (tally.prompt_tokens, tally.completion_tokens) == (12, 40)


def test_a_report_on_the_way_is_replaced_by_the_next() -> None:
    tally = Tally()
    for completion_tokens in (1, 7, 9):
        tally.add(Chunk(usage=Usage(5, completion_tokens)))
    assert (tally.prompt_tokens, tally.completion_tokens) == (5, 9)


def test_cached_tokens_are_absent_where_nobody_knows_them() -> None:
    tally = Tally()
    tally.add(Chunk(usage=Usage(5, 1)))
    assert tally.cached_tokens is None
    tally.add(Chunk(index=1, usage=Usage(5, 1, cached_tokens=3)))
    assert tally.cached_tokens == 3

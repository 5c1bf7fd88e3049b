"""What was asked for lately counts more than what was asked for long ago."""

from serving.bls.adapter_worth import FADE_AFTER, Worth


def test_each_request_counts():
    worth = Worth(2)
    for task in (1, 1, 2):
        worth.count(task)
    assert [worth.of(task) for task in (1, 2, 3)] == [2, 1, 0]


def test_what_nobody_asks_for_any_more_fades():
    worth = Worth(2)
    for task in [1] * FADE_AFTER * 2 + [2] * FADE_AFTER * 2:
        worth.count(task)
    assert worth.of(1) < worth.of(2)


def test_it_remembers_no_more_than_it_needs():
    worth = Worth(2)
    for task in range(10_000):
        worth.count(task)
    assert len(worth._counts) <= 2 * FADE_AFTER

import pytest

from control_plane.usage.rollup import DAY, HOUR, MINUTE
from control_plane.usage.times import granularity_for, moment

NOW = 1_750_000_000.0


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90m", NOW - 5400),
        ("24h", NOW - 86400),
        ("7d", NOW - 7 * 86400),
        ("2w", NOW - 14 * 86400),
        ("999999w", 0),
        ("2025-06-15", 1_749_945_600),
        ("2025-06-15T02:00:00+02:00", 1_749_945_600),
        ("1749945600", 1_749_945_600),
    ],
)
def test_moments_are_understood_as_people_write_them(text, at):
    assert moment(text, NOW) == at


@pytest.mark.parametrize("text", ["", "d", "7y", "-1d", "0d", "1e9", "nan", "²", "9" * 20])
def test_other_texts_are_no_moments(text):
    with pytest.raises(ValueError, match="is no time"):
        moment(text, NOW)


@pytest.mark.parametrize(
    ("begin", "end", "granularity"),
    [
        (NOW - 3600, NOW, MINUTE),
        (NOW - 86400, NOW, HOUR),
        (NOW - 7 * 86400, NOW, DAY),
        (NOW - 20 * 86400, NOW - 20 * 86400 + 60, HOUR),
        (NOW - 500 * 86400, NOW - 500 * 86400 + 60, DAY),
    ],
)
def test_time_is_cut_as_finely_as_is_kept_and_readable(begin, end, granularity):
    assert granularity_for(begin, end, NOW) == granularity

import pytest

from serving.cli.limits import in_words


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({}, "no limits"),
        ({"requests_per_minute": None, "burst_s": 60}, "no limits"),
        ({"requests_per_minute": 1200, "burst_s": 60}, "1,200 requests/min"),
        ({"concurrent_requests": 0}, "0 requests at a time"),
        (
            {"tokens_per_day": 10, "budget_nusd": 12_500_000_000, "soft_budget_nusd": 10**9},
            "10 tokens/day, $12.50/month, a warning at $1.00/month",
        ),
    ],
)
def test_limits_are_said_in_one_line(limits, said):
    assert in_words(limits) == said

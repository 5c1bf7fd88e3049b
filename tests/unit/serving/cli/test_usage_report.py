import io

from rich.console import Console

from serving.cli.usage_report import money, report, sparkline

DAY_S = 86400
MIDNIGHT = 1_749_945_600


def sums(**given):
    fields = {"requests": 1, "prompt_tokens": 1000, "cached_tokens": 0, "completion_tokens": 5}
    return {**fields, "cost_nusd": 0, **given}


def a_summary(**given):
    fields = {
        "since": MIDNIGHT,
        "until": MIDNIGHT + 4 * DAY_S,
        "width_s": DAY_S,
        "by": ["model", "user"],
        "groups": [
            {"by": {"model": "demo", "user": "[red]ann"}, **sums(cost_nusd=1_500_000_000)},
            {"by": {"model": "demo", "user": None}, **sums(requests=12345)},
        ],
        "has_more": False,
        "totals": sums(requests=12346, cost_nusd=1_500_000_000),
        "series": [
            {"start_time": MIDNIGHT, **sums(requests=10)},
            {"start_time": MIDNIGHT + 3 * DAY_S, **sums(requests=80)},
        ],
    }
    return fields | given


def shown(summary):
    console = Console(width=120, file=io.StringIO())
    console.print(report(summary))
    return console.file.getvalue()


def test_groups_and_totals_are_a_table():
    text = shown(a_summary())
    assert "[red]ann" in text
    assert "12,345" in text
    assert "total" in text
    assert "$1.50" in text


def test_labels_do_not_speak_to_the_terminal():
    groups = [{"by": {"model": "demo", "user": "\x1b[2Jann\n"}, **sums()}]
    text = shown(a_summary(groups=groups))
    assert "\x1b[2J" not in text
    assert "\ufffd[2Jann\ufffd" in text


def test_the_chart_has_a_column_for_every_bucket():
    lines = [line.rstrip() for line in shown(a_summary()).splitlines()]
    assert "requests ▂  █  80 at most" in lines


def test_a_long_time_fits_the_terminal():
    text = shown(a_summary(until=MIDNIGHT + 400 * DAY_S, has_more=True))
    assert "a column is 6 days" in text
    assert "…" in text


def test_no_usage_is_said_in_a_line():
    nothing = a_summary(groups=[], series=[], totals=sums(requests=0))
    assert shown(nothing).strip() == "no usage from 2025-06-15 to 2025-06-19 (UTC)"


def test_small_sums_of_money_keep_their_digits():
    assert [money(n) for n in (0, 700, 12_345_678, 10**9, 1_234_567 * 10**6)] == [
        *("$0.00", "$0.0000007", "$0.0123", "$1.00", "$1,234.57")
    ]


def test_the_largest_value_is_the_highest_block():
    assert sparkline([0, 1, 4, 8]) == " ▂▅█"
    assert sparkline([]) == ""

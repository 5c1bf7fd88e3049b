from dataclasses import replace

from usage_events import BEGAN_AT, an_event, any_events, sums_of

from control_plane.usage.rollup import DAY, HOUR, MINUTE, WIDTH_S, begin_of, rolled_up
from serving.contract.usage import Status


def totals(differences, granularity):
    of_it = [sums for cell, sums in differences if cell.granularity == granularity]
    requests = sum(sum(sums[:5]) for sums in of_it)
    names = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "cost_nusd")
    return {"requests": requests} | {name: sum(getattr(s, name) for s in of_it) for name in names}


def test_every_granularity_sums_up_to_the_same():
    events = any_events(300)
    differences = rolled_up(events)
    for granularity in (MINUTE, HOUR, DAY):
        assert totals(differences, granularity) == sums_of(events)


def test_buckets_begin_where_the_calendar_in_utc_has_them():
    cells = {cell.granularity: cell.bucket for cell, _ in rolled_up([an_event()])}
    assert cells == {each: BEGAN_AT // WIDTH_S[each] * WIDTH_S[each] for each in WIDTH_S}
    assert begin_of(86399.9, DAY) == 0
    assert begin_of(86400, DAY) == 86400


def test_what_is_taken_away_leaves_nothing():
    events = any_events(50)
    assert rolled_up(events, removed=events) == []


def test_a_replaced_event_changes_only_what_differs():
    lost = an_event(status=Status.LOST, cost_nusd=3)
    settled = replace(lost, status=Status.OK, cost_nusd=10)
    for _, sums in rolled_up([settled], removed=[lost]):
        assert (sums.ok, sums.lost, sums.cost_nusd, sums.prompt_tokens) == (1, -1, 7, 0)


def test_cells_come_in_one_order():
    cells = [cell for cell, _ in rolled_up(any_events(200))]
    assert cells == sorted(cells)
    assert len(set(cells)) == len(cells)

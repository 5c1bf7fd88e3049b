"""Booking on the real PostgreSQL: what comes twice, late or in any order counts once."""

import asyncio
import random
from dataclasses import replace

import pytest
from usage_events import an_event, any_events, migrated, rows, sums, sums_of

from control_plane.store.usage import BadRows
from control_plane.store.usage_pages import each_page
from control_plane.store.usage_reports import Where
from control_plane.usage.ledger import book
from control_plane.usage.rollup import DAY, HOUR, MINUTE
from serving.contract.guardrails import Action, Stage, Verdict
from serving.contract.usage import Status


async def _book(database, *events):
    async with database.session() as session:
        return await book(session, events)


def _is_summed_up(database, events):
    return all(sums(database, each) == sums_of(events) for each in (MINUTE, HOUR, DAY))


async def test_an_event_is_written_as_it_came_and_rolled_up(database):
    event = an_event(user="ann", session="s1", adapter="polite", route="fast", reason=None)
    async with migrated(database) as connected:
        booked = await _book(connected, event)
    assert booked.events == (event,)
    (row,) = rows(database, "SELECT * FROM usage_events")
    assert row["began_at"].timestamp() == event.began_at
    assert (row["user"], row["session"], row["route"]) == ("ann", "s1", "fast")
    assert (row["ttft_ms"], row["latency_ms"]) == (12.5, 90.25)
    assert _is_summed_up(database, [event])
    (minute,) = rows(database, "SELECT * FROM usage_rollups WHERE granularity = 'minute'")
    assert minute["bucket"].timestamp() == event.began_at // 60 * 60
    assert (minute["ok"], minute["ttft_us"], minute["latency_us"]) == (1, 12500, 90250)


async def test_verdicts_are_kept_with_their_event_and_others_have_none(database):
    verdict = Verdict("injection", Stage.INPUT, Action.BLOCK, 0.9, "default@1", "override", 0, 2, 9)
    flagged = replace(verdict, action=Action.FLAG, what=None, begin=None, end=None)
    lost = an_event(status=Status.LOST, verdicts=(flagged,))
    events = [an_event(), an_event(verdicts=(verdict, flagged)), lost]
    async with migrated(database) as connected:
        await _book(connected, *events)
        settled = replace(lost, status=Status.OK, verdicts=(verdict,))
        booked = await _book(connected, settled)
        pages = [page async for page in each_page(connected, Where(0, 4e9))]
    assert booked.replaced == 1
    found = {event.id: event for page in pages for event in page}
    assert found == {event.id: event for event in (*events[:2], settled)}
    nothing = rows(database, "SELECT id FROM usage_events WHERE verdicts IS NULL")
    assert [row["id"] for row in nothing] == [events[0].id]


async def test_what_comes_twice_counts_once(database):
    events = any_events(200)
    async with migrated(database) as connected:
        await _book(connected, *events, *events[:50])
        booked = await _book(connected, *events)
    assert booked.events == ()
    assert _is_summed_up(database, events)


async def test_a_settled_event_takes_the_place_of_a_lost_one(database):
    lost = an_event(status=Status.LOST, completion_tokens=2, cost_nusd=20, latency_ms=None)
    settled = replace(lost, status=Status.OK, model="other", completion_tokens=9, cost_nusd=90)
    async with migrated(database) as connected:
        await _book(connected, lost)
        booked = await _book(connected, settled)
    assert (booked.events, booked.replaced) == ((settled,), 1)
    assert _is_summed_up(database, [settled])
    found = rows(database, "SELECT status, model, cost_nusd FROM usage_events")
    assert found == [{"status": "ok", "model": "other", "cost_nusd": 90}]
    (old,) = rows(
        database, "SELECT * FROM usage_rollups WHERE granularity = 'day' AND model = 'demo'"
    )
    assert {old[name] for name in ("lost", "prompt_tokens", "cost_nusd", "ttft_count")} == {0}


@pytest.mark.parametrize("status", [Status.LOST, Status.FAILED])
async def test_what_comes_after_a_settled_event_is_ignored(database, status):
    settled = an_event()
    late = replace(settled, status=status, cost_nusd=1)
    async with migrated(database) as connected:
        await _book(connected, settled)
        assert (await _book(connected, late)).events == ()
    assert _is_summed_up(database, [settled])


async def test_within_one_batch_the_settled_event_wins(database):
    lost = an_event(status=Status.LOST, cost_nusd=1)
    settled = replace(lost, status=Status.CANCELLED, cost_nusd=2)
    async with migrated(database) as connected:
        await _book(connected, lost, settled, replace(settled, cost_nusd=3), lost)
    assert _is_summed_up(database, [settled])


async def test_writers_at_the_same_time_agree(database):
    settled = any_events(300, seed=1)
    events = settled + [replace(e, status=Status.LOST, cost_nusd=1) for e in settled]
    events = [e for e in events for _ in range(2)]
    random.Random(1).shuffle(events)
    async with migrated(database) as connected, asyncio.TaskGroup() as writers:
        for first in range(0, len(events), 100):
            writers.create_task(_book(connected, *events[first : first + 100]))
    kept = rows(database, "SELECT id, status, cost_nusd FROM usage_events")
    of_id = {event.id: event for event in settled if event.status is not Status.LOST}
    assert len(kept) == 300
    assert all(row["cost_nusd"] == of_id[row["id"]].cost_nusd for row in kept if row["id"] in of_id)
    assert sums(database, DAY)["cost_nusd"] == sum(row["cost_nusd"] for row in kept)
    assert sums(database, MINUTE) == sums(database, DAY)


async def test_a_row_that_cannot_be_stored_voids_its_transaction_alone(database):
    good, bad = an_event(), an_event(user="nul \0")
    async with migrated(database) as connected:
        with pytest.raises(BadRows):
            await _book(connected, good, bad)
        assert rows(database, "SELECT id FROM usage_events") == []
        await _book(connected, good)
    assert _is_summed_up(database, [good])


async def test_models_that_there_are_none_of_make_no_rows_of_their_own(database):
    events = [
        an_event(model=f"guess-{n}", status=Status.REFUSED, reason="model_not_found", cost_nusd=0)
        for n in range(5)
    ]
    async with migrated(database) as connected:
        await _book(connected, *events)
    (row,) = rows(database, "SELECT model, refused FROM usage_rollups WHERE granularity = 'day'")
    assert row == {"model": "", "refused": 5}

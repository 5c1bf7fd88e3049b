"""Tenants of one class are served alike, by the tokens that they get."""

from collections import Counter

import pytest
from desk import Desk

from serving.bls.scheduling import fairness
from serving.bls.scheduling.fairness import FairShare, jain


def test_who_comes_later_starts_where_the_least_served_one_is():
    share = FairShare()
    share.enter("a")
    share.enter("b")
    share.charge("a", 100)
    share.charge("b", 70)
    share.enter("c")
    assert share["c"] == 70


def test_who_comes_back_from_idling_starts_no_lower_than_the_others():
    share = FairShare()
    for tenant in "ab":
        share.enter(tenant)
    share.leave("b")
    share.charge("a", 500)
    share.enter("b")
    assert share["b"] == 500


def test_who_comes_back_soon_keeps_what_it_was_served():
    share = FairShare()
    for tenant in "ab":
        share.enter(tenant)
    share.charge("b", 90)
    share.charge("a", 50)
    share.leave("b")
    share.enter("b")
    assert share["b"] == 90


def test_more_requests_of_an_active_tenant_lift_nothing():
    share = FairShare()
    for tenant in "ab":
        share.enter(tenant)
    share.charge("a", 90)
    share.enter("b")
    assert share["b"] == 0


def test_when_nobody_is_left_nothing_is_remembered():
    share = FairShare()
    share.enter("a")
    share.charge("a", 90)
    share.leave("a")
    assert share["a"] == 0


def test_no_more_tenants_are_remembered_than_stated(monkeypatch):
    monkeypatch.setattr(fairness, "MAX_REMEMBERED", 10)
    share = FairShare()
    share.enter("stays")
    for number in range(100):
        share.enter(f"{number}")
        share.leave(f"{number}")
    assert len(share._counters) <= 10


@pytest.mark.parametrize(
    ("shares", "index"),
    [([5, 5, 5, 5], 1.0), ([8, 0, 0, 0], 0.25), ([1, 1, 0, 0], 0.5), ([], 1.0), ([0, 0], 1.0)],
)
def test_jains_index_is_one_for_all_alike_and_one_nth_for_one_with_all(shares, index):
    assert jain(shares) == pytest.approx(index)


def served(desk, entries, *, tokens, rounds):
    """Each that is let in makes so many tokens and ends: what each tenant got."""
    got = Counter()
    for _ in range(rounds):
        entry = desk.running[0]
        desk.progress(entry, tokens)
        got[entry.job.tenant] += tokens
        desk.end(entry)
    return got


def test_a_flood_of_one_tenant_does_not_hold_up_another():
    desk = Desk(places=1)
    desk.submit_many(100, tenant="flood")
    quiet = desk.submit(tenant="quiet")
    assert desk.admitted().index(quiet) <= 1


def test_tenants_of_one_weight_get_the_same_tokens():
    desk = Desk(places=1)
    entries = [e for tenant in "abcd" for e in desk.submit_many(40, tenant=tenant)]
    got = served(desk, entries, tokens=10, rounds=80)
    assert jain(got.values()) > 0.99


def test_twice_the_weight_gets_twice_the_tokens():
    desk = Desk(places=1)
    entries = desk.submit_many(100, tenant="one", weight=1.0)
    entries += desk.submit_many(100, tenant="two", weight=2.0)
    got = served(desk, entries, tokens=10, rounds=90)
    assert got["two"] / got["one"] == pytest.approx(2, rel=0.1)


def test_who_asks_for_long_answers_gets_fewer_of_them():
    desk = Desk(places=1, tokens=10_000)
    desk.submit_many(200, tenant="short", answer=10)
    desk.submit_many(200, tenant="long", answer=100)
    got = Counter()
    for _ in range(150):
        entry = desk.running[0]
        desk.progress(entry, entry.job.max_tokens)
        got[entry.job.tenant] += entry.job.prompt_tokens + 2 * entry.made
        desk.end(entry)
    assert got["short"] == pytest.approx(got["long"], rel=0.1)


def test_classes_are_counted_apart():
    desk = Desk(places=1)
    agent = desk.submit("agent", tenant="a")
    desk.progress(agent, 500)
    standard = desk.submit("standard", tenant="a")
    lines = desk.scheduler.lines
    assert (lines.counter(agent), lines.counter(standard)) == (1010, 0)


def test_a_tenant_whose_requests_are_paused_holds_nobody_down():
    desk = Desk(places=1)
    paused = desk.submit(tenant="paused")
    desk.pause(paused)
    desk.stopped(paused)
    old = desk.submit(tenant="old")
    desk.progress(old, 1000)
    lines = desk.scheduler.lines
    assert lines.counter(desk.submit(tenant="new")) == lines.counter(old) == 2010


def test_a_tenant_that_is_resumed_starts_no_lower_than_the_others():
    desk = Desk(places=1)
    paused = desk.submit(tenant="paused")
    desk.pause(paused)
    desk.stopped(paused)
    running = desk.submit(tenant="old")
    desk.progress(running, 1000)
    desk.resume(paused)
    lines = desk.scheduler.lines
    assert lines.counter(paused) == lines.counter(running)


def test_what_was_served_before_everybody_left_counts_for_nobody_later():
    desk = Desk(places=1)
    first = desk.submit(tenant="a")
    second = desk.submit(tenant="a")
    desk.progress(first, 1000)
    desk.end(first)
    desk.submit(tenant="a")
    for entry in list(desk.scheduler.entries()):
        desk.end(entry)
    assert second.state == "ended"
    desk.submit(tenant="x")
    flood = desk.submit_many(5, tenant="b")
    mine = desk.submit(tenant="a")
    order = desk.admitted()
    assert order.index(mine) <= 1
    assert set(order) == {mine, *flood}

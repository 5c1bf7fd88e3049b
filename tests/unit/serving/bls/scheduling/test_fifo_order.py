"""First come, first served: no classes, no tenants, nobody stopped."""

import pytest
from desk import Desk, job_of

from serving.bls.scheduling.scheduler import Act

NAMES = ("batch", "interactive", "agent", "standard") * 5


@pytest.fixture
def desk():
    return Desk(places=1, order="fifo", held_tokens=500)


def test_the_order_is_that_of_arrival_whatever_the_class(desk):
    entries = [desk.submit(name) for name in NAMES]
    assert desk.admitted() == entries[1:]


def test_the_order_is_that_of_arrival_whatever_the_tenant(desk):
    entries = [desk.submit(tenant=tenant) for tenant in "aaaaabacb"]
    for entry in entries:
        desk.progress(entry, 100)
    assert desk.admitted() == entries[1:]


def test_the_order_is_that_of_arrival_whatever_the_program(desk):
    desk.end(desk.submit("agent", program="run"))
    entries = []
    for program in (None, None, "run", None, "run"):
        desk.now_s += 1
        entries.append(desk.submit("agent", program=program))
    assert desk.admitted() == entries[1:]


def test_nothing_ages(desk):
    entries = [desk.submit(name) for name in NAMES]
    desk.now_s = 1e6
    assert desk.admitted() == entries[1:]


def test_no_class_has_a_floor_a_share_or_a_cap():
    rules = {"interactive": {"floor": 2}, "batch": {"share": 1}}
    desk = Desk(places=4, order="fifo", unresumable=1, rules=rules)
    entries = desk.submit_many(4, "batch", is_resumable=False)
    assert desk.running == entries


def test_no_prefix_is_held_for_a_class():
    desk = Desk(places=4, tokens=100, order="fifo", held_tokens=60)
    first = desk.submit()
    desk.end(desk.submit("agent", prompt=40, answer=10, program="run"))
    second = desk.submit("agent", prompt=30, answer=20)
    assert desk.running == [first, second]


def test_who_waits_is_counted_by_class_all_the_same(desk):
    for name in NAMES:
        desk.submit(name)
    scheduler = desk.scheduler
    assert [scheduler.waiting_of(rank) for rank in range(4)] == [5, 5, 5, 4]
    assert {scheduler.lines.ahead(job_of(name, "new")) for name in NAMES} == {19}


def test_pausing_works_there_too(desk):
    first, second, third = desk.submit_many(3)
    desk.pause(second)
    desk.end(first)
    assert desk.told(Act.ADMIT) == [third]
    desk.resume(second)
    desk.end(third)
    assert desk.told(Act.ADMIT) == [second]

"""One line: fair between tenants, in order within each, and quick to leave."""

import pytest
from desk import job_of

from serving.bls.scheduling.fairness import FairShare
from serving.bls.scheduling.job import Entry
from serving.bls.scheduling.line import Line


@pytest.fixture
def fair():
    return FairShare()


@pytest.fixture
def line(fair):
    return Line(fair)


def entry_of(line, tenant="a", *, order_s=0.0, since_s=0.0, made=0, **more):
    entry = Entry(job_of(tenant=tenant, **more), since_s, order_s, made=made)
    line.push(entry, tenant)
    return entry


def drained(line):
    order = []
    while (entry := line.first()) is not None:
        line.remove(entry)
        order.append(entry)
    return order


def test_within_a_tenant_the_earlier_goes_first(line):
    later, earlier = entry_of(line, order_s=2), entry_of(line, order_s=1)
    assert drained(line) == [earlier, later]


def test_who_has_begun_goes_before_those_that_came_earlier(line):
    new, begun = entry_of(line, order_s=1), entry_of(line, order_s=2, made=3)
    assert drained(line) == [begun, new]


def test_those_of_one_moment_keep_the_order_in_which_they_came(line):
    entries = [entry_of(line) for _ in range(20)]
    assert drained(line) == entries


def test_the_tenant_that_was_served_least_is_first(line, fair):
    fair.charge("a", 10)
    a, b = entry_of(line, "a"), entry_of(line, "b", order_s=9)
    assert drained(line) == [b, a]


def test_what_a_tenant_is_served_while_it_waits_counts_at_once(line, fair):
    a, b = entry_of(line, "a"), entry_of(line, "b")
    assert line.first() is a
    fair.charge("a", 10)
    assert line.first() is b


def test_who_has_left_is_never_first(line):
    entries = [entry_of(line) for _ in range(5)]
    for entry in entries[:3]:
        line.remove(entry)
    assert (len(line), list(line)) == (2, entries[3:])
    assert drained(line) == entries[3:]


def test_who_left_may_come_again(line):
    first, second = entry_of(line, order_s=1), entry_of(line, order_s=2)
    line.remove(first)
    line.push(first, "a")
    assert drained(line) == [first, second]


def test_an_empty_line_has_nobody_first_and_nobody_oldest(line):
    entry = entry_of(line)
    line.remove(entry)
    assert (line.first(), line.oldest(), len(line), line.tokens) == (None, None, 0, 0)


def test_the_oldest_is_who_waits_longest_whatever_its_turn(line, fair):
    fair.charge("a", 1000)
    old = entry_of(line, "a", order_s=9, since_s=1)
    entry_of(line, "b", order_s=1, since_s=2)
    assert line.oldest() is old
    assert line.first() is not old
    line.remove(old)
    assert line.oldest() is not old


def test_the_tokens_of_those_that_wait_are_counted(line):
    first = entry_of(line, prompt=5, answer=6)
    entry_of(line, prompt=1, answer=2)
    assert line.tokens == 14
    line.remove(first)
    assert line.tokens == 3


def test_what_has_left_takes_no_room_for_long(line):
    stays = entry_of(line, order_s=0)
    for number in range(3000):
        line.remove(entry_of(line, "a", order_s=number))
        line.remove(entry_of(line, f"t-{number}"))
    kept = len(line._by_age) + len(line._by_counter) + sum(map(len, line._tenants.values()))
    assert kept < 500
    assert drained(line) == [stays]


def test_a_tenant_whose_counter_was_forgotten_is_not_held_to_it(line, fair):
    fair.charge("a", 1000)
    line.remove(entry_of(line, "a"))
    fair._counters.clear()
    b, a = entry_of(line, "b"), entry_of(line, "a")
    fair.charge("b", 5)
    assert drained(line) == [a, b]

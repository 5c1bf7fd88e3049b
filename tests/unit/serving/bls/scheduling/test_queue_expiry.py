"""Those that do not run have a time by which they must; who runs has none here."""

import pytest
from desk import job_of

from serving.bls.scheduling.expiry import NEVER, Expiry
from serving.bls.scheduling.job import Entry


@pytest.fixture
def expiry():
    return Expiry()


def entry_of():
    return Entry(job_of(), 0.0, 0.0)


def test_those_whose_time_has_come_are_taken_once_in_order(expiry):
    entries = [entry_of() for _ in range(3)]
    for entry, expires_s in zip(entries, (3.0, 1.0, 2.0), strict=True):
        expiry.put(entry, expires_s)
    assert expiry.take(0.9) == []
    assert expiry.take(2.0) == [entries[1], entries[2]]
    assert expiry.take(2.0) == []
    assert expiry.next_s() == 3.0


def test_a_new_time_replaces_the_old(expiry):
    entry = entry_of()
    expiry.put(entry, 1.0)
    expiry.put(entry, 5.0)
    assert (expiry.take(4.0), expiry.next_s()) == ([], 5.0)
    expiry.put(entry, 2.0)
    assert expiry.take(2.0) == [entry]
    assert expiry.take(9.0) == []


def test_the_same_time_given_twice_comes_once(expiry):
    entry = entry_of()
    for expires_s in (1.0, NEVER, 1.0):
        expiry.put(entry, expires_s)
    assert expiry.take(1.0) == [entry]
    assert (expiry.take(1.0), expiry.next_s()) == ([], None)


def test_who_has_no_time_is_never_taken(expiry):
    entry = entry_of()
    expiry.put(entry, 1.0)
    expiry.put(entry, NEVER)
    assert (expiry.next_s(), expiry.take(1e12)) == (None, [])


def test_times_that_were_given_up_take_no_room_for_long(expiry):
    stays = entry_of()
    expiry.put(stays, 10.0)
    for _ in range(5000):
        entry = entry_of()
        expiry.put(entry, 3600.0)
        expiry.put(entry, NEVER)
    assert len(expiry._heap) < 500
    assert expiry.take(3600.0) == [stays]

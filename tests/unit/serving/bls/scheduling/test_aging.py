"""Nothing waits for ever: who waited long for its class gets one place in so many."""

from desk import Desk

from serving.bls.scheduling.scheduler import Act


def served(desk, number, name="interactive"):
    """So many places come free while the class keeps asking for them: who got them."""
    got = []
    for _ in range(number):
        desk.submit(name, tenant="busy")
        desk.end(desk.running[0])
        got += desk.told(Act.ADMIT)
    return got


def test_who_has_waited_too_long_gets_one_place_in_so_many():
    desk = Desk(places=1, aging_s=10.0, aged_every=4)
    desk.submit_many(3, "interactive", tenant="busy")
    batch = desk.submit_many(20, "batch")
    desk.now_s = 31.0
    got = served(desk, 40)
    assert [place for place, entry in enumerate(got) if entry in batch] == list(range(2, 40, 4))


def test_the_longest_wait_is_served_first_among_the_aged():
    desk = Desk(places=1, aging_s=1.0, aged_every=2)
    desk.submit("interactive", tenant="busy")
    batch = desk.submit("batch")
    desk.now_s = 1.0
    agent = desk.submit("agent")
    desk.now_s = 100.0
    aged = [entry for entry in served(desk, 8) if entry in (batch, agent)]
    assert aged == [batch, agent]


def test_the_aged_of_a_class_are_shared_fairly_between_its_tenants():
    desk = Desk(places=1, aging_s=1.0, aged_every=2)
    desk.submit("interactive", tenant="busy")
    flood = desk.submit_many(6, "batch", tenant="flood")
    other = desk.submit_many(6, "batch", tenant="other")
    desk.now_s = 100.0
    aged = [entry for entry in served(desk, 12) if entry in (*flood, *other)]
    assert [entry.job.tenant for entry in aged[:6]] == ["flood", "other"] * 3


def test_every_class_above_makes_the_wait_longer():
    desk = Desk(places=1, aging_s=10.0, aged_every=1)
    desk.submit("interactive", tenant="busy")
    batch, agent, standard = (desk.submit(name) for name in ("batch", "agent", "standard"))
    got = []
    for now_s in (9.0, 10.1, 19.0, 20.1, 29.0, 30.1):
        desk.now_s = now_s
        got += [entry for entry in served(desk, 2) if entry.job.rank > 0]
    assert got == [standard, agent, batch]
    assert [entry.waited_s for entry in got] == [10.1, 20.1, 30.1]


def test_before_it_has_waited_long_enough_a_lower_class_gets_nothing():
    desk = Desk(places=1, aging_s=10.0, aged_every=2)
    desk.submit("interactive", tenant="busy")
    batch = desk.submit("batch")
    desk.now_s = 30.0
    assert batch not in served(desk, 50)


def test_the_aged_of_many_never_starve_the_interactive():
    desk = Desk(places=2, aging_s=1.0, aged_every=8, order="priority")
    desk.submit_many(500, "batch")
    desk.now_s = 1000.0
    got = served(desk, 80)
    assert sum(entry.job.rank == 0 for entry in got) == 70


def test_interactive_load_never_starves_batch_for_ever():
    desk = Desk(places=2, aging_s=1.0)
    desk.submit_many(3, "interactive", tenant="busy")
    batch = desk.submit_many(10, "batch")
    desk.now_s = 4.0
    got = served(desk, 200)
    assert set(batch) <= set(got)


def test_an_aged_one_that_does_not_fit_holds_up_no_person():
    desk = Desk(places=4, tokens=1000, aging_s=1.0, aged_every=1)
    agents = desk.submit_many(2, "agent", prompt=300, answer=100)
    batch = desk.submit("batch", prompt=500, answer=50)
    desk.now_s = 4.0
    person = desk.submit("interactive", prompt=10, answer=10)
    assert desk.running == [*agents, person]
    assert desk.told(Act.STOP) == []
    for entry in (*agents, person):
        desk.end(entry)
    assert desk.running == [batch]


def test_no_more_than_a_share_of_the_places_goes_to_the_aged_at_a_time():
    desk = Desk(places=4, aging_s=1.0, aged_every=2)
    people = desk.submit_many(4, "interactive")
    desk.submit_many(20, "batch")
    desk.now_s = 10.0
    for person in people:
        desk.submit("interactive")
        desk.end(person)
    assert sum(entry.is_aged for entry in desk.running) == 2

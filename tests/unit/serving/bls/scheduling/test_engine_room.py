"""What the engine has room for: places, tokens, floors and shares."""

from desk import Desk

from serving.bls.scheduling.job import State
from serving.bls.scheduling.scheduler import Act


def test_no_more_than_the_places_run():
    desk = Desk(places=3)
    entries = desk.submit_many(5)
    assert desk.running == entries[:3]
    desk.end(entries[1])
    assert desk.told(Act.ADMIT) == [entries[3]]


def test_no_more_than_the_tokens_run():
    desk = Desk(places=9, tokens=100)
    entries = desk.submit_many(4, prompt=20, answer=20)
    assert desk.running == entries[:2]


def test_one_that_is_larger_than_the_engine_runs_alone():
    desk = Desk(places=9, tokens=100)
    small = desk.submit()
    large = desk.submit(prompt=200, answer=20)
    later = desk.submit()
    assert desk.running == [small]
    desk.end(small)
    assert desk.running == [large]
    desk.end(large)
    assert desk.running == [later]


def test_nobody_passes_a_large_one_that_waits_for_room():
    desk = Desk(places=9, tokens=100)
    first = desk.submit(prompt=40, answer=20)
    large = desk.submit(prompt=50, answer=20)
    small = desk.submit()
    assert desk.running == [first]
    desk.end(first)
    assert desk.running == [large, small]


def test_a_stopping_one_keeps_its_place_until_it_has_left():
    desk = Desk(places=1)
    agent = desk.submit("agent")
    desk.after(1)
    person = desk.submit("interactive")
    assert agent.state is State.STOPPING
    assert (desk.running, person.state) == ([], State.WAITING)
    desk.stopped(agent)
    assert desk.running == [person]


def test_a_floor_is_kept_free_for_its_class():
    desk = Desk(places=3, rules={"interactive": {"floor": 1}})
    desk.submit_many(5, "agent")
    assert len(desk.running) == 2
    person = desk.submit("interactive")
    assert person in desk.running


def test_a_floor_that_is_taken_by_its_class_keeps_nothing_more_free():
    desk = Desk(places=3, rules={"interactive": {"floor": 1}})
    desk.submit("interactive")
    desk.submit_many(5, "agent")
    assert len(desk.running) == 3


def test_a_class_holds_its_share_at_most():
    desk = Desk(places=4, rules={"agent": {"share": 2}})
    agents = desk.submit_many(4, "agent")
    batch = desk.submit("batch")
    assert desk.running == [*agents[:2], batch]


def test_a_class_that_has_its_share_holds_up_no_lower_class():
    desk = Desk(places=2, rules={"interactive": {"share": 1}})
    desk.submit_many(3, "interactive")
    batch = desk.submit("batch")
    assert batch in desk.running


def test_agent_and_batch_work_that_cannot_be_stopped_is_capped():
    desk = Desk(places=4, unresumable=1)
    capped = [desk.submit(name, is_resumable=False) for name in ("batch", "agent", "batch")]
    free = desk.submit("batch")
    assert desk.running == [capped[0], free]
    desk.end(capped[0])
    assert desk.told(Act.ADMIT) == [capped[1]]


def test_other_work_that_cannot_be_stopped_is_not_capped():
    desk = Desk(places=4, unresumable=1)
    entries = [desk.submit(name, is_resumable=False) for name in ("interactive", "standard")]
    assert desk.running == entries


def test_what_is_held_for_programs_is_spared_by_agent_work_alone():
    desk = Desk(places=4, tokens=100, held_tokens=60)
    keeps = desk.submit("standard")
    desk.end(desk.submit("agent", prompt=40, answer=10, program="run"))
    held = desk.scheduler.programs.held_tokens
    assert held == 40
    agent = desk.submit("agent", prompt=30, answer=20)
    assert agent.state is State.WAITING
    person = desk.submit("interactive", prompt=30, answer=20)
    assert desk.running == [keeps, person]


def test_when_a_held_prefix_is_given_up_is_a_time_to_ask_again():
    desk = Desk(places=4, tokens=100, held_tokens=60, program_idle_s=30.0)
    desk.submit("standard")
    desk.end(desk.submit("agent", prompt=40, answer=10, program="run"))
    agent = desk.submit("agent", prompt=30, answer=20)
    assert desk.scheduler.wake_s(0.0) == 30.0
    desk.after(30.0)
    assert desk.told(Act.ADMIT) == [agent]


def test_what_left_leaves_nothing_behind():
    desk = Desk(places=3)
    for entry in desk.submit_many(3, "agent", is_resumable=False):
        desk.end(entry)
    room = desk.scheduler.room
    assert (room.tokens, room.counts, room.staying) == (0, [0] * 4, [0] * 4)
    assert (dict(room.entries), dict(room.stopping), room.free_tokens) == ({}, {}, 1000)

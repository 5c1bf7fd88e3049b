"""Sequences that wait, run, are stopped and go on; whatever happens no place is lost."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queues import NO_LIMITS, policy_of

from serving.bls.scheduling.job import Job
from serving.bls.scheduling.policy import Order
from serving.bls.scheduling.timeouts import TimeLimits
from serving.bls.turns import About, Turns
from serving.contract.calls import SequenceState
from serving.contract.errors import Cancelled, Conflict, EngineFailed, Expired, QueueFull

INTERACTIVE, STANDARD, AGENT, BATCH = range(4)


def turns_of(places, *, max_waiting=99, on_change=lambda *_: None, hung_after_s=90.0, **policy):
    policy = policy_of(places, max_waiting=max_waiting, **policy)
    return Turns(policy, on_change=on_change, hung_after_s=hung_after_s)


class Line:
    """Tasks that take a place and keep it until they are let go."""

    def __init__(self, turns):
        self.turns = turns
        self.begun = []
        self.gates = {}
        self.tasks = {}
        self.told = {}

    def _job(self, name, rank, more):
        now_s = self.turns.clock()
        return Job(str(name), "acme", rank, 10, 20, arrived_s=now_s, **more)

    async def _keep(self, name, job, limits):
        async with self.turns.line(job, limits, About(), self.told[name].append) as turn:

            async def attempt():
                self.begun.append(name)
                turn.made(1)
                await self.gates[name].wait()

            await turn.run(attempt)

    async def join(self, name, rank=STANDARD, *, limits=NO_LIMITS, **more):
        self.gates[name], self.told[name] = asyncio.Event(), []
        job = self._job(name, rank, more)
        self.tasks[name] = asyncio.create_task(self._keep(name, job, limits))
        await settled()

    async def leave(self, name):
        self.gates[name].set()
        await asyncio.gather(self.tasks[name], return_exceptions=True)
        await settled()

    async def cancel(self, name):
        self.tasks[name].cancel()
        await asyncio.gather(self.tasks[name], return_exceptions=True)
        await settled()

    def turn(self, name):
        return self.turns.named(str(name))

    @property
    def load(self):
        return self.turns.running, self.turns.waiting


async def settled():
    for _ in range(12):
        await asyncio.sleep(0)


async def test_places_are_given_in_order_of_arrival():
    line = Line(turns_of(2))
    for name in "abcde":
        await line.join(name)
    assert (line.begun, line.load) == (["a", "b"], (2, 3))
    await line.leave("b")
    await line.leave("a")
    assert line.begun == ["a", "b", "c", "d"]
    for name in "cde":
        await line.leave(name)
    assert line.load == (0, 0)


async def test_who_finds_the_line_full_is_refused_at_once():
    line = Line(turns_of(1, max_waiting=1))
    for name in "abc":
        await line.join(name)
    with pytest.raises(QueueFull, match="1 requests of class 'standard' wait"):
        await line.tasks["c"]
    assert line.load == (1, 1)
    for name in "ab":
        await line.leave(name)
    await line.join("d")
    assert line.load == (1, 0)
    await line.leave("d")


async def test_nobody_may_wait_where_there_is_no_line():
    line = Line(turns_of(1, max_waiting=0))
    for name in "ab":
        await line.join(name)
    with pytest.raises(QueueFull):
        await line.tasks["b"]
    await line.leave("a")


async def test_who_leaves_the_line_leaves_no_trace():
    line = Line(turns_of(1))
    for name in "abc":
        await line.join(name)
    await line.cancel("b")
    assert line.load == (1, 1)
    await line.leave("a")
    assert line.begun == ["a", "c"]
    await line.leave("c")


async def test_who_is_cancelled_at_the_moment_of_his_turn_gives_it_on():
    line = Line(turns_of(1))
    for name in "abc":
        await line.join(name)
    line.gates["a"].set()
    await asyncio.sleep(0)
    line.tasks["b"].cancel()
    await settled()
    assert line.begun[-1] == "c"
    await line.leave("c")
    assert line.load == (0, 0)


async def test_every_change_is_told():
    told = []
    line = Line(turns_of(1, on_change=lambda *load: told.append(load)))
    for name in "ab":
        await line.join(name)
    assert told[-1] == (1, 1)
    await line.cancel("b")
    assert told[-1] == (1, 0)
    await line.leave("a")
    assert told[-1] == (0, 0)


async def test_an_error_in_a_place_frees_it():
    line = Line(turns_of(1))
    await line.join("a")
    line.gates["a"].wait = None  # awaiting the call of it raises
    await line.cancel("a")
    assert line.load == (0, 0)


async def test_an_interactive_request_takes_the_place_of_an_agent_which_goes_on_after_it():
    line = Line(turns_of(1))
    await line.join("agent", AGENT)
    await line.join("person", INTERACTIVE)
    assert (line.begun, line.load) == (["agent", "person"], (1, 1))
    await line.leave("person")
    assert line.begun == ["agent", "person", "agent"]
    assert line.told["agent"] == [SequenceState.WAITING, SequenceState.RUNNING]
    assert line.told["person"] == []
    await line.leave("agent")
    assert line.load == (0, 0)


async def test_nobody_is_stopped_where_the_order_is_another():
    for order in (Order.PRIORITY, Order.FIFO):
        line = Line(turns_of(1, order=order))
        await line.join("agent", AGENT)
        await line.join("batch", BATCH)
        await line.join("person", INTERACTIVE)
        await line.leave("agent")
        second = "person" if order is Order.PRIORITY else "batch"
        assert line.begun == ["agent", second]
        for name in ("person", "batch") if order is Order.PRIORITY else ("batch", "person"):
            await line.leave(name)
        assert line.load == (0, 0)


async def test_what_cannot_go_on_is_not_stopped_after_its_first_token():
    line = Line(turns_of(1))
    await line.join("agent", AGENT, is_resumable=False)
    await line.join("person", INTERACTIVE)
    assert line.begun == ["agent"]
    with pytest.raises(Conflict, match="could not go on where it was stopped"):
        line.turns.pause(line.turn("agent"))
    assert line.load == (1, 1)
    await line.leave("agent")
    await line.leave("person")


async def test_a_paused_request_gives_its_place_away_and_gets_one_back():
    line = Line(turns_of(1))
    for name in "ab":
        await line.join(name)
    line.turns.pause(line.turn("a"))
    await settled()
    assert (line.begun, line.told["a"]) == (["a", "b"], [SequenceState.PAUSED])
    await line.leave("b")
    assert line.load == (0, 1)
    line.turns.resume(line.turn("a"))
    await settled()
    assert line.begun == ["a", "b", "a"]
    assert line.told["a"] == [SequenceState.PAUSED, SequenceState.RUNNING]
    await line.leave("a")


async def test_a_paused_class_stands_still_and_the_others_do_not():
    line = Line(turns_of(2))
    await line.join("agent", AGENT)
    line.turns.pause_class(AGENT)
    await line.join("newcomer", AGENT)
    await line.join("person")
    assert (line.begun, line.load) == (["agent", "person"], (1, 2))
    assert line.told["newcomer"] == [SequenceState.PAUSED]
    line.turns.resume_class(AGENT)
    await settled()
    assert line.begun[2:] == ["agent"]
    for name in ("agent", "newcomer", "person"):
        await line.leave(name)
    assert line.load == (0, 0)


@pytest.mark.parametrize("place", ["running", "waiting", "paused"])
async def test_an_operator_cancels_wherever_it_stands(place):
    line = Line(turns_of(1))
    if place == "waiting":
        await line.join("other")
    await line.join("a")
    if place == "paused":
        line.turns.pause(line.turn("a"))
        await settled()
    line.turns.cancel(line.turn("a"))
    with pytest.raises(Cancelled, match="an operator cancelled"):
        await line.tasks["a"]
    if place == "waiting":
        await line.leave("other")
    assert line.load == (0, 0)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (TimeLimits(0.01, 9, 9), "not answered within its timeout of 0.01 s"),
        (TimeLimits(9, 9, 0.01), "no token for 0.01 s"),
    ],
)
async def test_what_takes_too_long_in_the_engine_ends(limits, message):
    line = Line(turns_of(1))
    async with watching(line.turns):
        await line.join("a", limits=limits)
        with pytest.raises(Expired, match=message):
            await line.tasks["a"]
    assert line.load == (0, 0)


async def test_a_first_token_that_does_not_come_in_time_ends_the_wait():
    line = Line(turns_of(1))
    async with watching(line.turns):
        await line.join("a")
        await line.join("b", limits=TimeLimits(9, 0.01, 9))
        with pytest.raises(Expired, match=r"no first token within 0\.01 s"):
            await line.tasks["b"]
    await line.leave("a")


async def test_clocks_stand_still_while_it_is_paused():
    line = Line(turns_of(1))
    async with watching(line.turns):
        await line.join("a", limits=TimeLimits(0.2, 0.2, 0.2))
        line.turns.pause(line.turn("a"))
        await asyncio.sleep(0.5)
        assert line.load == (0, 1)
        line.turns.cancel(line.turn("a"))
        with pytest.raises(Cancelled):
            await line.tasks["a"]


async def test_an_engine_without_a_token_for_anybody_fails_those_in_it():
    line = Line(turns_of(1, hung_after_s=0.05))
    async with watching(line.turns):
        for name in "ab":
            await line.join(name)
        with pytest.raises(EngineFailed, match=r"no token for 0\.05 s"):
            await line.tasks["a"]
        line.gates["b"].set()
        await line.tasks["b"]


async def test_a_turn_that_does_not_come_in_time_is_refused():
    line = Line(turns_of(1, queue_timeout_s=0.05))
    for name in "ab":
        await line.join(name)
    with pytest.raises(Expired, match="its turn did not come within"):
        await line.tasks["b"]
    await line.leave("a")


@given(
    st.lists(st.tuples(st.sampled_from("jjlcprx"), st.integers(0, 9)), max_size=40),
    st.integers(1, 3),
)
def test_whatever_happens_no_place_is_lost(acts, places):
    async def scenario():
        line = Line(turns_of(places))
        for number, (act, chosen) in enumerate(acts):
            await do(line, act, chosen, number)
            assert line.turns.running <= places
        for name in line.tasks:
            line.turns.resume(line.turn(name))
            line.gates[name].set()
            await settled()
        for task in line.tasks.values():
            await asyncio.gather(task, return_exceptions=True)
        assert line.load == (0, 0)

    asyncio.run(scenario())


async def do(line, act, chosen, number):
    alive = [name for name, task in line.tasks.items() if not task.done()]
    if act == "j":
        await line.join(number, chosen % 4, is_resumable=chosen != 9)
        return
    if not alive:
        return
    name = alive[chosen % len(alive)]
    match act:
        case "l":
            line.gates[name].set()
        case "c":
            line.tasks[name].cancel()
        case "p":
            with suppress(Conflict):
                line.turns.pause(line.turn(name))
        case "r":
            line.turns.resume(line.turn(name))
        case "x":
            line.turns.cancel(line.turn(name))
    await settled()


@asynccontextmanager
async def watching(turns):
    task = asyncio.create_task(turns.watch())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

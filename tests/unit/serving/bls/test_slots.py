"""Places in the engine: so many, in order, and none is ever lost."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bls.slots import Slots
from serving.contract.errors import QueueFull


def slots_of(places, *, max_waiting):
    return Slots(places=places, max_waiting=max_waiting, on_change=lambda *_: None)


class Line:
    """Tasks that take a place and keep it until they are let go."""

    def __init__(self, slots):
        self.slots = slots
        self.order = []
        self.gates = {}
        self.tasks = {}

    async def _keep(self, name):
        async with self.slots.take():
            self.order.append(name)
            await self.gates[name].wait()

    async def join(self, name):
        self.gates[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._keep(name))
        await settled()

    async def leave(self, name):
        self.gates[name].set()
        await asyncio.gather(self.tasks[name], return_exceptions=True)
        await settled()

    async def cancel(self, name):
        self.tasks[name].cancel()
        await asyncio.gather(self.tasks[name], return_exceptions=True)
        await settled()


async def settled():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_places_are_given_in_order_of_arrival():
    line = Line(slots_of(2, max_waiting=9))
    for name in "abcde":
        await line.join(name)
    assert (line.order, line.slots.running, line.slots.waiting) == (["a", "b"], 2, 3)
    await line.leave("b")
    await line.leave("a")
    assert line.order == ["a", "b", "c", "d"]
    for name in "cde":
        await line.leave(name)
    assert (line.slots.running, line.slots.waiting) == (0, 0)


async def test_who_finds_the_line_full_is_refused_at_once():
    line = Line(slots_of(1, max_waiting=1))
    await line.join("a")
    await line.join("b")
    with pytest.raises(QueueFull, match="1 requests wait"):
        async with line.slots.take():
            pass
    assert (line.slots.running, line.slots.waiting) == (1, 1)
    await line.leave("a")
    await line.leave("b")
    async with line.slots.take():
        assert line.slots.running == 1


async def test_nobody_may_wait_where_there_is_no_line():
    slots = slots_of(1, max_waiting=0)
    async with slots.take():
        with pytest.raises(QueueFull):
            async with slots.take():
                pass
    async with slots.take():
        pass


async def test_who_leaves_the_line_leaves_no_trace():
    line = Line(slots_of(1, max_waiting=9))
    for name in "abc":
        await line.join(name)
    await line.cancel("b")
    assert (line.slots.running, line.slots.waiting) == (1, 1)
    await line.leave("a")
    assert line.order == ["a", "c"]
    await line.leave("c")


async def test_who_is_cancelled_at_the_moment_of_his_turn_gives_it_on():
    line = Line(slots_of(1, max_waiting=9))
    for name in "abc":
        await line.join(name)
    line.gates["a"].set()
    await asyncio.sleep(0)
    line.tasks["b"].cancel()
    await settled()
    assert line.order[-1] == "c"
    await line.leave("c")
    assert (line.slots.running, line.slots.waiting) == (0, 0)


async def test_every_change_is_told():
    told = []
    slots = Slots(places=1, max_waiting=9, on_change=lambda *load: told.append(load))
    line = Line(slots)
    for name in "ab":
        await line.join(name)
    assert told[-1] == (1, 1)
    await line.cancel("b")
    assert told[-1] == (1, 0)
    await line.leave("a")
    assert told[-1] == (0, 0)


async def test_an_error_in_a_place_frees_it():
    slots = slots_of(1, max_waiting=0)
    with pytest.raises(ZeroDivisionError):
        async with slots.take():
            _ = 1 / 0
    assert slots.running == 0
    async with slots.take():
        pass


@given(
    st.lists(st.tuples(st.sampled_from("jlc"), st.integers(0, 9)), max_size=25), st.integers(1, 3)
)
def test_whatever_happens_no_place_is_lost(acts, places):
    async def scenario():
        line = Line(slots_of(places, max_waiting=3))
        for number, (act, chosen) in enumerate(acts):
            names = [name for name, task in line.tasks.items() if not task.done()]
            if act == "j":
                await line.join(number)
            elif names and act == "l":
                await line.leave(line_member(line, names, chosen))
            elif names:
                await line.cancel(names[chosen % len(names)])
            inside = [n for n in line.order if not line.tasks[n].done()]
            assert line.slots.running == len(inside) <= places
        for name in list(line.tasks):
            await line.cancel(name)
        assert (line.slots.running, line.slots.waiting) == (0, 0)
        async with line.slots.take():
            assert line.slots.running == 1

    asyncio.run(scenario())


def line_member(line, names, chosen):
    inside = [name for name in names if name in line.order]
    return inside[chosen % len(inside)]

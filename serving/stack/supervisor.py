"""Runs a stack: starts its parts, keeps them up, takes them down one tier after the other."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress

import psutil

from serving.stack import state
from serving.stack.errors import StackError
from serving.stack.first_token import first_token
from serving.stack.keeper import Keeper, Surroundings
from serving.stack.layout import write_private
from serving.stack.part import Health
from serving.stack.plan import Plan
from serving.stack.report import Kind, Report
from serving.stack.watchdog import watchdog

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE_S = 5.0  # with parts that a stack can serve without


class Supervisor:
    """Knows all keepers of a stack, and writes down and tells what becomes of them."""

    def __init__(self, plan: Plan, report: Report) -> None:
        self._plan = plan
        self._report = report
        self._keepers: list[Keeper] = []
        self._is_ready = False

    async def run(self, lock: int) -> None:
        """Returns when the stack has been stopped; StackError when it does not come up."""
        plan = self._plan
        async with AsyncExitStack() as exits:
            exits.callback(plan.layout.state_file.unlink, missing_ok=True)
            dog = await exits.enter_async_context(watchdog(plan.shm_prefix, lock))
            around = Surroundings(plan.settings, plan.layout, dog, self._changed)
            tiers = [[Keeper(part, around) for part in tier] for tier in plan.tiers]
            self._keepers = [keeper for tier in tiers for keeper in tier]
            names = ", ".join(keeper.part.name for keeper in self._keepers)
            self._report(Kind.STEP, f"starting {names}")
            for tier in tiers:
                await exits.enter_async_context(kept(tier))
            await self._announce()
            await asyncio.Event().wait()

    async def _announce(self) -> None:
        plan = self._plan
        await self._all_ready(is_vital=True)
        self._report(Kind.STEP, "waiting for the first token")
        refusal = await first_token(plan.endpoint, timeout_s=plan.settings.start_timeout_s)
        if refusal is not None:
            self._report(Kind.NOTE, f"the stack's own key gets no answer: {refusal}")
        await self._wait_for_the_rest()
        write_private(plan.layout.env_file, plan.endpoint.as_env_file())
        self._is_ready = True
        self._write_state()
        self._report(Kind.READY, plan.endpoint.base_url)

    async def _wait_for_the_rest(self) -> None:
        rest = [k.part.name for k in self._keepers if not k.was_ready.is_set()]
        if rest:
            self._report(Kind.STEP, f"waiting for {', '.join(rest)}")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_ready(is_vital=False), PATIENCE_S)

    async def _all_ready(self, *, is_vital: bool) -> None:
        for keeper in self._keepers:
            if keeper.part.is_vital is is_vital:
                await keeper.was_ready.wait()

    def _changed(self, keeper: Keeper) -> None:
        name = keeper.part.name
        if keeper.health is Health.RESTARTING:
            self._report(Kind.NOTE, f"{keeper.trouble}; starting it again")
        elif keeper.health is Health.READY and keeper.restarts:
            self._report(Kind.NOTE, f"{name} is back")
        self._write_state()

    def _write_state(self) -> None:
        plan = self._plan
        current = state.StackState(
            pid=os.getpid(),
            started_at=psutil.Process().create_time(),
            shm_prefix=plan.shm_prefix,
            base_url=plan.endpoint.base_url,
            control_url=plan.endpoint.control_url,
            model=plan.endpoint.model,
            triton_http=plan.triton_http,
            is_ready=self._is_ready,
            parts=tuple(_seen(keeper) for keeper in self._keepers),
        )
        # Without it `conch status` is blind, but the stack serves: a full disk must not end it.
        with suppress(OSError):
            state.write(plan.layout, current)


def _seen(keeper: Keeper) -> state.PartState:
    return state.PartState(
        name=keeper.part.name,
        health=keeper.health,
        pid=keeper.pid,
        started_at=keeper.started_at,
        restarts=keeper.restarts,
        trouble=keeper.trouble,
        ports=dict(keeper.part.ports),
    )


@asynccontextmanager
async def kept(keepers: list[Keeper]) -> AsyncIterator[None]:
    """Parts that are kept during the block, which is left when one of them cannot come up."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(keeper.keep()) for keeper in keepers]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """The first signal cancels the current task; later ones do not disturb its way out."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    def stop() -> None:
        if not task.cancelling():
            task.cancel()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    except asyncio.CancelledError:
        if not task.cancelling():
            raise
        task.uncancel()


async def supervise(plan: Plan, report: Report, *, lock: int) -> None:
    """Runs the stack of `plan` until a stop signal; `lock` is the descriptor of the held lock."""
    with raised_alone(), stopped_by_signals():
        await Supervisor(plan, report).run(lock)


@contextmanager
def raised_alone() -> Iterator[None]:
    """Of the StackErrors that end a block of tasks, the first."""
    try:
        yield
    except BaseExceptionGroup as group:
        failures, defects = group.split(StackError)
        if failures is None or defects is not None:
            raise
        raise _first(failures) from None


def _first(failures: BaseExceptionGroup[StackError]) -> StackError:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first

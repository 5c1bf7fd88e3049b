"""Keeps one part running: starts it, watches its health, starts it again when it ends or hangs."""

import asyncio
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from serving.stack import state
from serving.stack.errors import StackError
from serving.stack.layout import Layout
from serving.stack.part import Health, Part
from serving.stack.process import last_line, rotate, running, truncate
from serving.stack.settings import StackSettings
from serving.stack.watchdog import Watchdog

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 30.0
STEADY_S = 60.0
STARTUP_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all parts of a stack share."""

    settings: StackSettings
    layout: Layout
    dog: Watchdog
    on_change: Callable[["Keeper"], None]


def delay_after(failures: int) -> float:
    """Seconds before the next start, after that many runs in a row that did not last."""
    return float(min(FIRST_DELAY_S * 2 ** min(failures - 1, 20), LONGEST_DELAY_S))


@dataclass(slots=True)
class Keeper:
    """Owns the life of one part; `on_change` of the surroundings hears of every step in it."""

    part: Part
    around: Surroundings
    health: Health = Health.STARTING
    pid: int | None = None
    started_at: float | None = None
    restarts: int = 0
    trouble: str | None = None
    was_ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep(self) -> None:
        """Never returns. Raises StackError when a vital part does not come up the first time."""
        failures = 0
        while True:
            begun = time.monotonic()
            try:
                await self._live()
            except (StackError, OSError) as error:
                if self.part.is_vital and not self.was_ready.is_set():
                    raise
                failures = 1 if time.monotonic() - begun > STEADY_S else failures + 1
                self._enter(Health.RESTARTING, str(error))
            await asyncio.sleep(delay_after(failures))
            self.restarts += 1

    async def _live(self) -> None:
        """One life of the process; ends with the StackError that ended it."""
        rotate(self._log, self.around.settings.log_max_mb)
        await self._prepare()
        try:
            async with running(self.part, self._log, self.around.dog) as process:
                self.pid = process.pid
                self.started_at = state.created_at(process.pid)
                await self._come_up(process)
                await self._stay_up(process)
        finally:
            self.pid = self.started_at = None

    async def _prepare(self) -> None:
        try:
            await self.part.prepare()
        except OSError as error:
            raise StackError(f"{self.part.name} cannot be prepared: {error}") from error

    async def _come_up(self, process: Process) -> None:
        if self.restarts == 0:
            self._enter(Health.STARTING)
        timeout_s = self.around.settings.start_timeout_s
        deadline = time.monotonic() + timeout_s
        while not await self.part.is_alive():
            await self._pause(process, STARTUP_POLL_S)
            if time.monotonic() > deadline:
                raise StackError(
                    f"{self.part.name} does not answer {timeout_s:g} s after its start; "
                    f"CONCH_START_TIMEOUT_S allows more, {self._log} may say why"
                )
        await self.part.warm_up()
        self.was_ready.set()
        self._enter(Health.READY)

    async def _stay_up(self, process: Process) -> None:
        settings, misses = self.around.settings, 0
        while misses < settings.health_failures:
            await self._pause(process, settings.health_interval_s)
            misses = 0 if await self.part.is_ready(process.pid) else misses + 1
            truncate(self._log, settings.log_max_mb)
        raise StackError(f"{self.part.name} no longer answers")

    async def _pause(self, process: Process, seconds: float) -> None:
        with suppress(TimeoutError):
            status = await asyncio.wait_for(process.wait(), seconds)
            how = f"signal {-status}" if status < 0 else f"status {status}"
            raise StackError(
                f"{self.part.name} ended with {how}, last words: {last_line(self._log)!r} "
                f"({self._log})"
            )

    @property
    def _log(self) -> Path:
        return self.around.layout.log_of(self.part.name)

    def _enter(self, health: Health, trouble: str | None = None) -> None:
        self.health, self.trouble = health, trouble
        self.around.on_change(self)

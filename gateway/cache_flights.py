"""Single flight: equal requests of one process share one answer in the making."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager

from gateway.telemetry import Record, log
from serving.contract.cache import CacheOutcome
from serving.contract.calls import Chunk
from serving.contract.errors import Cancelled

Make = Callable[["Flight"], Awaitable[None]]


class Flight:
    """An answer that comes piece by piece, and the seats of those who take it.

    All of it is held until the last of them leaves: who comes late begins at the beginning, and who
    reads slowly holds up nobody. `age_s` is that of an answer which another process has made.
    """

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.is_over = False
        self.age_s: float | None = None
        self.error: BaseException | None = None
        self.seats: list[Seat] = []
        self.task: asyncio.Task[None] | None = None

    def add(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        self._wake()

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more comes. A second time changes nothing."""
        if not self.is_over:
            self.is_over, self.error = True, error
            self._wake()

    def _wake(self) -> None:
        for seat in self.seats:
            seat.news.set()


class Seat:
    """One who takes the answer. The first pays for it; when it leaves, the next one does."""

    def __init__(self, flight: Flight, record: Record) -> None:
        self.news = asyncio.Event()
        self._flight = flight
        self._record = record
        self._is_told = False

    def pays(self, *, is_paying: bool) -> None:
        if self._flight.age_s is None:
            self._record.cache = CacheOutcome.MISS if is_paying else CacheOutcome.HIT

    async def chunks(self) -> AsyncIterator[Chunk]:
        """From the first on, as they come; raises what the making of them raised."""
        place, flight = 0, self._flight
        while True:
            while place < len(flight.chunks):
                self._tell()
                place += 1
                yield flight.chunks[place - 1]
            if flight.is_over:
                if flight.error is not None:
                    raise flight.error
                return
            self.news.clear()
            await self.news.wait()

    def _tell(self) -> None:
        """Only now it is known whether there was an answer after all."""
        if self._is_told:
            return
        self._is_told = True
        outcome = self._record.cache or CacheOutcome.MISS
        if self._flight.age_s is not None:
            outcome = CacheOutcome.HIT
        self._record.answered_from_cache(outcome, self._flight.age_s)


class Flights:
    """Those of one process, by what makes two requests equal."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._flights: dict[Hashable, Flight] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def has(self, key: Hashable) -> bool:
        return self._open(key) is not None

    @property
    def has_any(self) -> bool:
        """Also one that is over and is still being kept."""
        return bool(self._tasks)

    @contextmanager
    def seat(self, key: Hashable, make: Make, record: Record) -> Iterator[Seat]:
        """In the flight with that key, or in a new one, which `make` fills.

        It ends when its answer does, or when the last seat is left.
        """
        flight = self._open(key) or self._start(key, make)
        seat = Seat(flight, record)
        flight.seats.append(seat)
        seat.pays(is_paying=len(flight.seats) == 1)
        try:
            yield seat
        finally:
            self._leave(key, flight, seat)

    def _open(self, key: Hashable) -> Flight | None:
        """One that is over takes nobody any more: its answer is in the store, if it is kept."""
        flight = self._flights.get(key)
        return None if flight is None or flight.is_over else flight

    def _start(self, key: Hashable, make: Make) -> Flight:
        flight = self._flights[key] = Flight()
        flight.task = self._group.create_task(self._run(key, flight, make))
        self._tasks.add(flight.task)
        flight.task.add_done_callback(self._tasks.discard)
        return flight

    async def _run(self, key: Hashable, flight: Flight, make: Make) -> None:
        """Never fails: how it ended is for those to hear who take it."""
        try:
            await make(flight)
        except asyncio.CancelledError:
            flight.end(Cancelled("the gateway gave up this answer"))
            raise
        except Exception as error:
            if flight.is_over:
                log.exception("answer_not_kept")
            flight.end(error)
        finally:
            flight.end()
            self._forget(key, flight)

    def _leave(self, key: Hashable, flight: Flight, seat: Seat) -> None:
        was_paying = flight.seats[0] is seat
        flight.seats.remove(seat)
        if flight.is_over:
            return
        if not flight.seats:
            self._forget(key, flight)
            if flight.task is not None:
                flight.task.cancel()
        elif was_paying:
            flight.seats[0].pays(is_paying=True)

    def _forget(self, key: Hashable, flight: Flight) -> None:
        """At once: nobody takes a seat in one that is being cancelled."""
        if self._flights.get(key) is flight:
            del self._flights[key]

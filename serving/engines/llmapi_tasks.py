"""An event loop on a thread of its own, with one task for every open request."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

Work = Coroutine[Any, Any, None]


class RequestTasks:
    """Tasks by key. `start`, `cancel` and `close` may be called from any thread.

    `watch` runs beside them for as long as there is a loop.
    """

    def __init__(self, watch: Callable[[], Work]) -> None:
        self._watch = watch
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="llmapi", daemon=True)
        self._thread.start()
        self._is_up.wait()

    def start(self, key: int, work: Work, *, on_end: Callable[[], None]) -> None:
        """Run `work`; `on_end` follows in the loop in any case, also when it never got to run."""
        self._loop.call_soon_threadsafe(self._start, key, work, on_end)

    def cancel(self, key: int) -> None:
        """End the task of `key`, if there is one, by CancelledError."""
        self._loop.call_soon_threadsafe(self._cancel, key)

    def close(self) -> None:
        """Cancel every task and wait for their ends."""
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._live())

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        async with asyncio.TaskGroup() as self._group:
            watching = self._group.create_task(self._watch())
            self._is_up.set()
            await self._closing.wait()
            for task in (watching, *self._tasks.values()):
                task.cancel()

    def _start(self, key: int, work: Work, on_end: Callable[[], None]) -> None:
        def end(_: asyncio.Task[None]) -> None:
            del self._tasks[key]
            on_end()

        self._tasks[key] = self._group.create_task(work)
        self._tasks[key].add_done_callback(end)

    def _cancel(self, key: int) -> None:
        if key in self._tasks:
            self._tasks[key].cancel()

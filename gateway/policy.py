"""The policy as this gateway knows it: in memory, followed in Redis, kept on disk."""

import asyncio
import ctypes
import gc
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import structlog

from gateway.policy_file import PolicyFile
from serving.adapters import aside
from serving.adapters.policy_feed import PolicyFeed
from serving.adapters.policy_lines import Malformed
from serving.adapters.redis import StoreUnavailable
from serving.contract.errors import Unavailable
from serving.contract.policy import Change, Snapshot, Version
from serving.contract.task_errors import bare_errors
from serving.identity.directory import Directory, read

POLL_S = 0.5
START_WITHIN_S = 3.0
SAVE_EVERY_S = 5.0
log: structlog.stdlib.BoundLogger = structlog.get_logger("policy")


class Policy:
    """The directory in force. Asking never waits."""

    def __init__(self) -> None:
        self._directory: Directory | None = None
        self._confirmed_s = -math.inf

    @property
    def directory(self) -> Directory:
        """Raises Unavailable as long as there is none."""
        if self._directory is None:
            raise Unavailable("the gateway does not know its policy yet; try again soon")
        return self._directory

    @property
    def is_ready(self) -> bool:
        return self._directory is not None

    @property
    def age_s(self) -> float:
        """Seconds since Redis last said that it is the newest; infinite before it ever did."""
        return time.monotonic() - self._confirmed_s

    def confirm(self) -> None:
        self._confirmed_s = time.monotonic()

    def take(self, directory: Directory) -> None:
        self._directory = directory


@asynccontextmanager
async def follow(feed: PolicyFeed, file: PolicyFile) -> AsyncIterator[Policy]:
    """The policy, kept up to date within the block.

    It is there at once, from Redis or else from disk, or comes as soon as there is one.
    """
    follower = _Follower(feed, file)
    await follower.start()
    try:
        with bare_errors():
            async with asyncio.TaskGroup() as group:
                duties = (follower.poll(), follower.listen(), follower.keep_file())
                tasks = [group.create_task(duty) for duty in duties]
                yield follower.policy
                for task in tasks:
                    task.cancel()
    finally:
        await follower.save()


class _NothingPublished(Exception):
    """Redis is there, and has no policy that could be read whole."""


class _Follower:
    """Brings one Policy up to date. Whatever goes wrong, the last good one stays."""

    def __init__(self, feed: PolicyFeed, file: PolicyFile) -> None:
        self._feed = feed
        self._file = file
        self.policy = Policy()
        self._known: Directory | None = None
        # One from disk may lack what the version that wrote it did not know.
        self._is_provisional = False
        self._saved: Version | None = None
        self._is_hinted = asyncio.Event()
        self._has_changed = asyncio.Event()
        self._problem: str | None = None

    async def start(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(START_WITHIN_S):
                await self._update()
        if self._known is not None:
            return
        snapshot = await self._file.read()
        if snapshot is not None:
            self._is_provisional = True
            self._saved = snapshot.version
            self._take(await _filled(snapshot))
            log.warning("policy_from_disk", version=snapshot.version.number)

    async def poll(self) -> None:
        """For ever. Polling is what is promised; hints only make it sooner."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._is_hinted.wait()
            self._is_hinted.clear()
            await self._update()

    async def listen(self) -> None:
        """For ever; a subscription that broke is made again."""
        while True:
            try:
                async with self._feed.hints() as hints:
                    async for _ in hints:
                        self._is_hinted.set()
            except StoreUnavailable:
                pass  # polling tells of it
            except Exception:
                log.exception("policy_hints_failed")
            await asyncio.sleep(POLL_S)

    async def keep_file(self) -> None:
        while True:
            await self._has_changed.wait()
            self._has_changed.clear()
            await self.save()
            # Reading and writing took several times the policy itself, for a moment.
            await asyncio.to_thread(_trim)
            await asyncio.sleep(SAVE_EVERY_S)

    async def save(self) -> None:
        directory = self._known
        if directory is None or directory.version == self._saved:
            return
        version, documents = directory.version, directory.documents()
        try:
            await self._file.write(version, documents)
            self._saved = version
        except OSError as error:
            log.warning("policy_not_saved", reason=str(error))

    async def _update(self) -> None:
        try:
            await self._catch_up()
        except (StoreUnavailable, Malformed, _NothingPublished) as error:
            self._tell(str(error))
        except Exception as error:
            # A defect here must not end a gateway that has a good policy.
            self._tell(f"internal error: {error!r}", error)
        else:
            self._tell(None)

    def _tell(self, problem: str | None, defect: Exception | None = None) -> None:
        """Logs what is wrong when that changes, not twice a second."""
        if problem == self._problem:
            return
        self._problem = problem
        if problem is None:
            log.info("policy_is_followed")
        else:
            log.warning("policy_is_not_followed", reason=problem, exc_info=defect)

    async def _catch_up(self) -> None:
        published = await self._feed.version()
        if published is None:
            raise _NothingPublished("Redis holds no policy; the control plane publishes one")
        if not await self._leads_to(published):
            await self._reload(published)
        self.policy.confirm()

    async def _leads_to(self, published: Version) -> bool:
        """Whether what is known is up to date, or could be made so by deltas."""
        known = self._known
        if known is None or known.version.epoch != published.epoch:
            return False
        # A Redis that lost its last writes is behind: never go back, they are published again.
        if known.version.number > published.number:
            return True
        return not self._is_provisional and await self._lead_on(known)

    async def _lead_on(self, directory: Directory) -> bool:
        """Take it as far as the deltas go. False: they do not follow from its version."""
        while deltas := await self._feed.deltas_after(directory.version):
            for delta in deltas:
                entries = await aside.mapped(read, delta.changes)
                directory.advance(delta.version, entries)
            self._has_changed.set()
        return deltas is not None

    async def _reload(self, published: Version) -> None:
        snapshot = await self._feed.snapshot()
        if snapshot is None:
            raise _NothingPublished(f"Redis names version {published.number}, and does not hold it")
        directory = await _filled(snapshot)
        await self._lead_on(directory)
        if directory.version.epoch != published.epoch or directory.version < published:
            raise _NothingPublished(f"what Redis holds does not lead to version {published.number}")
        self._is_provisional = False
        self._saved = None
        self._take(directory)
        log.info("policy_loaded", epoch=published.epoch, version=directory.version.number)

    def _take(self, directory: Directory) -> None:
        self._known = directory
        self.policy.take(directory)
        self._has_changed.set()
        _settle_memory()


async def _filled(snapshot: Snapshot) -> Directory:
    directory = Directory(snapshot.version)

    def put(changes: Sequence[Change]) -> tuple[()]:
        directory.put(read(changes))
        return ()

    await aside.mapped(put, snapshot.documents)
    return directory


def _settle_memory() -> None:
    """Take what lives now out of the garbage collector's sight.

    Each of its full rounds would look through the whole directory and every module, with all
    streams at a stand: tens of milliseconds. What is frozen is freed all the same when it is
    replaced, as it holds no cycles.
    """
    gc.collect()
    gc.freeze()


def _trim() -> None:
    """Give back to the system what is free.

    malloc would keep it for good. Only glibc has this, and needs it.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

"""Streams of which there is one a shard, read by a group of consumers. Each entry is delivered
until it is acknowledged, so possibly more than once.

On a cluster no command can wait on several streams, so they are polled.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from serving.adapters.redis import Redis, shard_tags
from serving.adapters.redis_scripts import Command, Script
from serving.adapters.redis_wire import Wire, checked

GROUP = "control-plane"
POLL_S = 0.1
_READ, _CLAIM, _ACK = Script("stream_read"), Script("stream_claim"), Script("stream_ack")
_FORGET = Script("stream_forget")


class StreamEntry(Protocol):
    """Where an entry is: what acknowledging it takes."""

    @property
    def shard(self) -> str: ...
    @property
    def stream_id(self) -> str: ...


E = TypeVar("E", bound=StreamEntry)
Fields = Mapping[bytes, bytes]


class ShardStreams(Generic[E]):
    """The consumers' end. `entry_of` makes an entry of its shard, id and fields; it never raises.

    Every method raises StoreUnavailable.
    """

    def __init__(
        self,
        redis: Redis,
        key_of: Callable[[str], str],
        entry_of: Callable[[str, str, Fields], E],
    ) -> None:
        self._wire = Wire(redis)
        self._keys = {shard: key_of(shard) for shard in shard_tags()}
        self._entry_of = entry_of

    async def ensure_groups(self) -> None:
        """Makes the consumer group on every shard, as reading does too."""
        make = [("XGROUP", "CREATE", key, GROUP, "0", "MKSTREAM") for key in self._keys.values()]
        replies = await self._wire.send([Command(words) for words in make])
        checked([reply for reply in replies if "BUSYGROUP" not in str(reply)])

    async def read(self, consumer: str, count: int, block_ms: int) -> list[E]:
        """New entries, at most `count` of each shard; waits up to `block_ms` for the first."""
        until_s = time.monotonic() + block_ms / 1e3
        while True:
            replies = await self._each(_READ, consumer, count)
            entries = self._entries([reply and reply[0][1] for reply in replies])
            left_s = until_s - time.monotonic()
            if entries or left_s <= 0:
                return entries
            await asyncio.sleep(min(POLL_S, left_s))

    async def claim_stale(self, consumer: str, idle_ms: int, count: int = 100) -> list[E]:
        """Entries that some consumer got over `idle_ms` ago and never acknowledged."""
        return self._entries(await self._each(_CLAIM, consumer, idle_ms, count))

    async def ack(self, entries: Iterable[E]) -> None:
        """They are stored for good: none of them is delivered again."""
        by_shard: dict[str, list[str]] = {}
        for entry in entries:
            by_shard.setdefault(entry.shard, []).append(entry.stream_id)
        calls = [_ACK.call([self._keys[shard]], GROUP, *ids) for shard, ids in by_shard.items()]
        if calls:
            checked(await self._wire.send(calls))

    async def forget_consumers(self, idle_ms: int) -> None:
        """Drops the names of those that hold nothing and have not asked for so long."""
        calls = [_FORGET.call([key], GROUP, idle_ms) for key in self._keys.values()]
        checked(await self._wire.send(calls))

    async def lag(self) -> int:
        """How many entries are not yet acknowledged."""
        lengths = [Command(("XLEN", key)) for key in self._keys.values()]
        return sum(checked(await self._wire.send(lengths)))

    async def _each(self, script: Script, consumer: str, *words: int) -> list[Any]:
        """What each shard answers; None for one that fails, as long as others do not."""
        calls = [script.call([key], GROUP, consumer, *words) for key in self._keys.values()]
        replies = await self._wire.send(calls)
        if all(isinstance(reply, Exception) for reply in replies):
            checked(replies)
        return [None if isinstance(reply, Exception) else reply for reply in replies]

    def _entries(self, by_shard: Iterable[Sequence[Any] | None]) -> list[E]:
        shards = zip(self._keys, by_shard, strict=True)
        # One that was claimed after it had been removed comes as None.
        return [self._entry(shard, *raw) for shard, found in shards for raw in found or () if raw]

    def _entry(self, shard: str, stream_id: bytes, fields: Sequence[bytes]) -> E:
        named = dict(zip(fields[::2], fields[1::2], strict=True))
        return self._entry_of(shard, stream_id.decode(), named)

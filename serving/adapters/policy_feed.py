"""The policy as it travels through Redis: a checkpoint, the deltas since, and the version they
lead to. All keys have one hash tag, so that each step is atomic on a cluster too.

The checkpoint is compressed. Pub/sub carries hints only: one that is lost costs no more than time.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from serving.adapters import policy_lines
from serving.adapters.policy_lines import Malformed
from serving.adapters.redis import Redis, our_errors
from serving.adapters.redis_scripts import Script
from serving.contract.policy import Delta, Snapshot, Version

_VERSION = "conch:{policy}:version"
_DELTAS = "conch:{policy}:deltas"
_CHECKPOINT = "conch:{policy}:checkpoint"
_HINTS = "conch:{policy}:hints"
KEPT_DELTAS = 1_000
DELTAS_AT_ONCE = 100
LISTEN_S = 1.0


class PolicyFeed:
    """Both ends of the feed. Every method raises StoreUnavailable when Redis cannot be asked."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._publish = redis.register_script(Script("policy_publish").source)
        self._checkpoint = redis.register_script(Script("policy_checkpoint").source)

    async def version(self) -> Version | None:
        """The version that is published; None when there is none, or nothing that reads as one."""
        with our_errors():
            text: Any = await self._redis.get(_VERSION)
        return _read_version(text or b"")

    async def publish(self, delta: Delta) -> bool:
        """Publish the next version. False: Redis is at another one than just before it.

        That is also the answer to one that was published already: `version` tells.
        """
        version, number = delta.version, delta.version.number
        before = Version(version.epoch, number - 1)
        data = await policy_lines.write(version, delta.changes)
        with our_errors():
            done = await self._publish(
                keys=[_VERSION, _DELTAS],
                args=[_version_text(before), _version_text(version), number, data, _HINTS],
            )
        return bool(done)

    async def replace(self, snapshot: Snapshot) -> None:
        """Publish a whole policy, atomically, and trim the deltas it contains.

        One that deltas have left behind already takes nothing back: they stay, and so does the
        version they lead to. Any other one, of whatever version or epoch, becomes the truth.
        """
        version = snapshot.version
        data = await policy_lines.write(version, snapshot.documents)
        packed = await asyncio.to_thread(zlib.compress, data)
        with our_errors():
            await self._checkpoint(
                keys=[_VERSION, _DELTAS, _CHECKPOINT],
                args=[version.number, version.epoch, packed, KEPT_DELTAS, _HINTS],
            )

    async def deltas_after(self, version: Version) -> list[Delta] | None:
        """The next deltas, at most DELTAS_AT_ONCE; none when `version` is the newest.

        None when they do not lead on from `version`: read the snapshot.
        """
        if await self.version() == version:
            return []
        with our_errors():
            entries: Any = await self._redis.xrange(
                _DELTAS, min=f"{version.number + 1}-0", count=DELTAS_AT_ONCE
            )
        try:
            deltas = [await _delta(fields) for _, fields in entries]
        except Malformed:
            return None
        return deltas if deltas and _follow(deltas, version) else None

    async def snapshot(self) -> Snapshot | None:
        """The checkpoint; `deltas_after` it leads to the newest version. Raises Malformed."""
        with our_errors():
            packed: Any = await self._redis.hget(_CHECKPOINT, "data")
        if packed is None:
            return None
        try:
            data = await asyncio.to_thread(zlib.decompress, packed)
        except zlib.error as error:
            raise Malformed(f"the checkpoint is damaged: {error}") from error
        return Snapshot(*await policy_lines.read(data))

    @asynccontextmanager
    async def hints(self) -> AsyncIterator[AsyncIterator[None]]:
        """A subscription; its iterator yields whenever something was published."""
        await self.version()  # a cluster's client finds its nodes with a first command only
        async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
            with our_errors():
                await pubsub.subscribe(_HINTS)
            yield _heard(pubsub)


async def _heard(pubsub: Any) -> AsyncIterator[None]:
    while True:
        # With a timeout, so that a cancellation which the client loses is found out.
        with our_errors():
            message = await pubsub.get_message(timeout=LISTEN_S)
        if message is not None:
            yield


def _follow(deltas: list[Delta], version: Version) -> bool:
    numbers = range(version.number + 1, version.number + 1 + len(deltas))
    return [delta.version for delta in deltas] == [Version(version.epoch, n) for n in numbers]


async def _delta(fields: dict[bytes, bytes]) -> Delta:
    return Delta(*await policy_lines.read(fields.get(b"delta", b"")))


def _version_text(version: Version) -> str:
    return f"{version.number} {version.epoch}"


def _read_version(text: bytes) -> Version | None:
    number, _, epoch = text.partition(b" ")
    return Version(epoch.decode(errors="replace"), int(number)) if number.isdigit() else None

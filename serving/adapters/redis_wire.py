"""Many commands in one round trip, for as little of the event loop's time as it takes.

redis-py spends several times the cost of a command on what it does around it. On one server its
connection is used directly; on a cluster, commands go by its own pipeline, grouped by node.
"""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import hiredis
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as BrokenConnection
from redis.exceptions import NoScriptError, ResponseError

from serving.adapters.redis import our_errors, ours
from serving.adapters.redis_scripts import Command, Word

TIMEOUT_S = 2.0
Words = tuple[Word, ...]
Reply = Any  # what Redis answered, or the ResponseError that it answered with


class Wire:
    """A connection of its own, asked by one task at a time. It is closed with its client."""

    def __init__(self, redis: Redis, *, timeout_s: float = TIMEOUT_S) -> None:
        self._redis: Redis | RedisCluster = redis
        self._timeout_s = timeout_s
        self._connection: AbstractConnection | None = None
        self._pool_s: float | None = None  # its timeout when others use it
        self._turn = asyncio.Lock()

    async def send(self, commands: Sequence[Command]) -> list[Reply]:
        """The replies, in order. Raises StoreUnavailable, and then any of them may have been done.

        Commands are sent again when an idle connection turns out to be dead, so they must do no
        harm when they are done twice.
        """
        async with self._turn:
            with our_errors():
                async with asyncio.timeout(self._timeout_s):
                    return await self._answered(commands)

    async def ask(self, command: Command, *, is_urgent: bool = True) -> Reply:  # noqa: ARG002
        """One reply; nothing waits here, so everything is urgent."""
        (reply,) = await self.send([command])
        if isinstance(reply, Exception):
            raise ours(reply)
        return reply

    async def _answered(self, commands: Sequence[Command]) -> list[Reply]:
        replies = await self._sent([command.words for command in commands])
        await self._send_unknown_scripts(commands, replies)
        return replies

    async def _send_unknown_scripts(
        self, commands: Sequence[Command], replies: list[Reply]
    ) -> None:
        unknown = [n for n, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        again = [fallback for n in unknown if (fallback := commands[n].fallback)]
        if again:
            for n, reply in zip(unknown, await self._sent(again), strict=True):
                replies[n] = reply

    async def _sent(self, batch: list[Words]) -> list[Reply]:
        if isinstance(self._redis, RedisCluster):
            return await self._sent_to_cluster(self._redis, batch)
        was_used = self._connection is not None
        try:
            return await self._exchanged(self._redis, batch)
        except BrokenConnection:
            if not was_used:
                raise
            return await self._exchanged(self._redis, batch)

    async def _sent_to_cluster(self, cluster: RedisCluster, batch: list[Words]) -> list[Reply]:
        async with cluster.pipeline() as pipeline:
            for words in batch:
                pipeline.execute_command(*words)
            return await pipeline.execute(raise_on_error=False)

    async def _exchanged(self, redis: Redis, batch: list[Words]) -> list[Reply]:
        connection = self._connection or await self._connect(redis)
        data = b"".join([hiredis.pack_command(words) for words in batch])  # type: ignore[arg-type]
        try:
            await connection.send_packed_command(data, check_health=False)
            return [await _read(connection) for _ in batch]
        except BaseException:
            # Replies may still come on it, to commands that nobody waits for any more.
            await self._disconnect(redis, connection)
            raise

    async def _connect(self, redis: Redis) -> AbstractConnection:
        pool: Any = redis.connection_pool
        connection: AbstractConnection = await pool.get_connection()
        # `send` has a timeout around it all; one of each write costs a task.
        self._pool_s, connection.socket_timeout = connection.socket_timeout, None
        self._connection = connection
        return connection

    async def _disconnect(self, redis: Redis, connection: AbstractConnection) -> None:
        self._connection = None
        connection.socket_timeout = self._pool_s
        await connection.disconnect(nowait=True)
        await redis.connection_pool.release(connection)


async def _read(connection: AbstractConnection) -> Reply:
    try:
        return await connection.read_response(timeout=math.inf)
    except ResponseError as error:
        return error


def checked(replies: list[Reply]) -> list[Reply]:
    """The replies, when none is an error; else raises StoreUnavailable."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise ours(reply)
    return replies

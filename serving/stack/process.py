"""A process with a session of its own and a log file, of which nothing is left afterwards."""

import asyncio
import os
import pwd
import shutil
import signal
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from serving.stack import reaper
from serving.stack.errors import StackError
from serving.stack.part import Part
from serving.stack.watchdog import Watchdog

TAIL_BYTES = 4096


def rotate(log: Path, max_mb: int) -> None:
    """Moves a log that has grown past `max_mb` aside; the one moved before it is dropped."""
    if log.exists() and log.stat().st_size > max_mb << 20:
        log.replace(log.with_name(f"{log.name}.1"))


def truncate(log: Path, max_mb: int) -> None:
    """Like `rotate` for a log that a process writes to: a copy moves aside, the file is emptied.

    What is written between the two is lost; a full disk or a removed folder is nobody's end.
    """
    with suppress(OSError):
        if log.stat().st_size > max_mb << 20:
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            os.truncate(log, 0)


def last_line(log: Path) -> str:
    """The last line of a log that is not blank."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = file.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


@asynccontextmanager
async def running(part: Part, log: Path, dog: Watchdog) -> AsyncIterator[Process]:
    """The part's process. Cancelled, it is asked to end first; otherwise it is killed."""
    process = await _start(part, log)
    dog.add(process.pid)
    try:
        yield process
    except asyncio.CancelledError:
        await _ask_to_end(process, part)
        raise
    finally:
        await _kill(process)
        dog.remove(process.pid)
        part.after_end()


async def _start(part: Part, log: Path) -> Process:
    with log.open("ab") as output:
        try:
            return await asyncio.create_subprocess_exec(
                *part.command,
                env=dict(part.environment),
                stdin=DEVNULL,
                stdout=output,
                stderr=STDOUT,
                start_new_session=True,
                **identity(part.user),
            )
        except OSError as error:
            raise StackError(f"{part.name} cannot be started: {error}") from error


def identity(user: str | None) -> dict[str, Any]:
    """How to start a process as `user`, with no other groups than that of its own."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": ()}


async def _ask_to_end(process: Process, part: Part) -> None:
    if process.returncode is None:
        process.send_signal(part.stop_signal)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), part.stop_s)


async def _kill(process: Process) -> None:
    while reaper.send(process.pid, signal.SIGKILL):  # noqa: ASYNC110 - the kernel has no event
        await asyncio.sleep(reaper.POLL_S)
    await process.wait()

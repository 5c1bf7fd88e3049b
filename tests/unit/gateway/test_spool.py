"""The spool: what it acknowledged is there after a crash, and nothing else is."""

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import spool as spool_module
from gateway.spool import Spool, SpoolFailed, outcomes
from gateway.spool_file import Line, Mark, SpoolFile, encode
from serving.contract.usage import Status, UsageEvent


def event(name: str, status: Status = Status.OK) -> UsageEvent:
    return UsageEvent(
        id=name,
        request_id=name,
        began_at=1.25,
        tenant="acme",
        project="acme/web",
        principal="key:k1",
        endpoint="chat",
        model="demo",
        status=status,
        user="é\n\u2028",
    )


WRITE_AND_DIE = """
import asyncio, os, signal, sys
from pathlib import Path
from test_spool import event
from gateway.spool import Spool
from serving.contract.usage import Status

async def write():
    spool = Spool(Path(sys.argv[1]))
    await spool.began(event("a", Status.LOST))
    await spool.began(event("b", Status.LOST))
    await spool.ended(event("a"))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(write())
"""


def killed_while_writing(folder: Path) -> None:
    path = os.pathsep.join(sys.path)
    command = [sys.executable, "-c", WRITE_AND_DIE, str(folder)]
    died = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, check=False)
    assert died.returncode == -signal.SIGKILL


def left_behind(folder: Path, *pieces: bytes) -> None:
    """A file that no process holds."""
    (folder / "1-a.ndjson").write_bytes(b"".join(pieces))


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
async def spool(tmp_path: Path):
    made = Spool(tmp_path)
    yield made
    await made.close()


async def test_what_a_killed_process_wrote_is_found_by_another(tmp_path: Path):
    killed_while_writing(tmp_path)
    spool = Spool(tmp_path)
    (found,) = await spool.dead_files()
    ended, began = outcomes(found.lines())
    assert ended == {"a": event("a")}
    assert began == {"b": event("b", Status.LOST)}
    found.remove()
    assert await spool.dead_files() == []
    await spool.close()
    assert names(tmp_path) == []


@pytest.mark.parametrize("torn", [b"", b'{"mark":"ended","ev', b"\xff\x00"])
def test_a_torn_end_is_as_if_it_had_not_been_written(tmp_path: Path, torn: bytes):
    left_behind(tmp_path, encode(Line(Mark.ENDED, event("a"))), torn)
    file = SpoolFile.adopt(tmp_path / "1-a.ndjson")
    assert file is not None
    assert file.lines() == [Line(Mark.ENDED, event("a"))]
    file.remove()
    assert names(tmp_path) == []


async def test_a_file_is_adopted_by_one_process_only(tmp_path: Path):
    left_behind(tmp_path, encode(Line(Mark.ENDED, event("a"))))
    first, second = Spool(tmp_path), Spool(tmp_path)
    (mine,) = await first.dead_files()
    assert await second.dead_files() == []
    mine.close()  # it could not replay it
    (theirs,) = await second.dead_files()
    theirs.remove()
    await first.close()
    await second.close()


def test_a_line_that_cannot_be_read_costs_only_itself(tmp_path: Path):
    good, bad = encode(Line(Mark.ENDED, event("a"))), b'{"mark":"ended","event":{"id":1}}\n'
    left_behind(tmp_path, good, bad, b"\n", good.replace(b'"a"', b'"b"'))
    file = SpoolFile.adopt(tmp_path / "1-a.ndjson")
    assert file is not None
    ended, _ = outcomes(file.lines())
    assert set(ended) == {"a", "b"}
    file.remove()
    assert names(tmp_path) == ["1-a.damaged"]  # for people to look at


async def test_writes_that_meet_share_one_sync(spool: Spool, monkeypatch: pytest.MonkeyPatch):
    syncs = 0
    sync = os.fdatasync

    def counted(descriptor: int) -> None:
        nonlocal syncs
        syncs += 1
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", counted)
    await asyncio.gather(*(spool.ended(event(str(n))) for n in range(200)))
    assert syncs < 100
    file = await spool.taken()
    assert file is not None
    assert len(file.lines()) == 200
    file.remove()


async def test_what_still_runs_is_carried_over(spool: Spool):
    for name in ("a", "b", "c"):
        await spool.began(event(name, Status.LOST))
    await spool.ended(event("a"))
    spool.forget("b")
    old = await spool.taken()
    assert old is not None
    assert await spool.taken() is None  # only what runs is in it
    await spool.ended(event("d"))
    again = await spool.taken()
    assert again is not None
    ended, began = outcomes(again.lines())
    assert (ended.keys(), began.keys()) == ({"d"}, {"c"})
    spool.forget("c")
    old.remove()
    again.remove()


async def test_there_is_nothing_to_take_of_an_empty_spool(spool: Spool):
    assert await spool.taken() is None


async def test_a_disk_that_is_full_loses_nothing_that_was_acknowledged(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
):
    await spool.ended(event("a"))
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", full)
        return write(descriptor, data[: len(data) // 2])

    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(SpoolFailed, match="No space left"):
        await spool.began(event("b"))
    monkeypatch.setattr(os, "write", write)
    await spool.ended(event("c"))
    file = await spool.taken()
    assert file is not None
    assert [line.event.id for line in file.lines()] == ["a", "c"]
    file.remove()


async def test_it_says_when_it_is_full(spool: Spool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spool_module, "MOST_BYTES", 100)
    assert not spool.is_full
    await spool.ended(replace(event("a"), user="x" * 100))
    assert spool.is_full


async def test_a_write_that_nobody_waits_for_any_more_is_done(spool: Spool):
    task = asyncio.create_task(spool.began(event("a", Status.LOST)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await spool.ended(event("b"))
    file = await spool.taken()
    assert file is not None
    assert [line.event.id for line in file.lines()] == ["a", "b"]
    spool.forget("a")
    file.remove()


def test_a_folder_that_cannot_be_written_is_told_at_once(tmp_path: Path):
    (tmp_path / "spool").write_text("")
    with pytest.raises(OSError, match="spool"):
        Spool(tmp_path / "spool")


def test_a_file_can_be_closed_twice_and_closes_nobody_elses(tmp_path):
    file = SpoolFile.make(tmp_path, "mine")
    file.close()
    with (tmp_path / "other").open("wb") as other:  # most likely gets the number that is free now
        file.close()
        other.write(b"still open")

"""Steps on disk that a reader, or a power cut, sees as done or not done; nothing of LoRA."""

import errno
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

_ASIDE = "."
_ABANDONED_S = 3600.0


def numbered(folder: Path) -> dict[int, Path]:
    """Folders in it whose name is a number from 1 on."""
    if not folder.is_dir():
        return {}
    found = (each for each in folder.iterdir() if re.fullmatch(r"[1-9]\d*", each.name))
    return {int(each.name): each for each in found}


@contextmanager
def made_aside(home: Path) -> Iterator[Path]:
    """A new folder in `home` that readers pass over; what is still there at the end goes."""
    _clear_abandoned(home)
    aside = _aside(home)
    aside.mkdir()
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def publish(aside: Path, name: str) -> bool:
    """Give a folder and its files the name, durably; False when the name is taken."""
    for file in aside.iterdir():
        _sync(file)
    _sync(aside)
    try:
        aside.rename(aside.with_name(name))
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    _sync(aside.parent)
    return True


def mark(path: Path, text: str = "") -> None:
    """Replace a small file."""
    aside = _aside(path.parent)
    aside.write_text(text)
    _sync(aside)
    aside.replace(path)
    _sync(path.parent)


def discard(folder: Path) -> None:
    """Gone at once for whoever looks, then file by file; who has a file open keeps it."""
    aside = _aside(folder.parent)
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _aside(home: Path) -> Path:
    return home / f"{_ASIDE}{token_hex(8)}"


def _clear_abandoned(home: Path) -> None:
    """What a process that was killed left behind."""
    for aside in home.glob(f"{_ASIDE}*"):
        with suppress(FileNotFoundError):  # published or cleared since it was listed
            if time.time() - aside.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(aside, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

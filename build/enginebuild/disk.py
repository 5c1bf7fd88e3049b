"""Folders on disk: link or copy a tree, make it outlive a power cut, exchange two in one step."""

import ctypes
import errno
import os
import shutil
from pathlib import Path

_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


def copy(source: Path, target: Path) -> None:
    """Put a file or a tree at `target`; what happens to `source` later does not change it."""
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    else:
        shutil.copytree(source, target, dirs_exist_ok=True)


def link(source: Path, target: Path) -> None:
    """Put a tree at `target` as hard links, or as copies where there can be none."""
    shutil.copytree(source, target, copy_function=_link, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def fsync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            _fsync(path, os.O_RDONLY)
        else:
            fsync_folder(path)
    fsync_folder(folder)


def fsync_folder(folder: Path) -> None:
    _fsync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exchange(new: Path, there: Path) -> None:
    """`new` takes the place of `there`, and what was there (if anything) that of `new`.

    One step in the kernel. A file system that knows no exchange gets two renames instead, with
    nothing at `there` in between.
    """
    if not there.exists():
        new.rename(there)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(new), os.fsencode(there)
    if libc.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0:
        return
    code = ctypes.get_errno()
    if code not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        raise OSError(code, os.strerror(code), str(there))
    aside = new.with_name(f"{new.name}.old")
    there.rename(aside)
    new.rename(there)
    aside.rename(new)

"""Unix sockets of a stack: in a private folder whose path is short enough for them."""

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from serving.stack.errors import StackError
from serving.stack.layout import Layout

LONGEST = 100  # bytes of a path; the kernel takes 107
LONGEST_NAME = ".s.PGSQL.5432.lock"


def socket_folder(layout: Layout) -> Path:
    """Where sockets go: `run` of the layout, or a folder for temporary files when that is deep."""
    run = layout.run.resolve()
    if len(os.fsencode(run / LONGEST_NAME)) <= LONGEST:
        return run
    return private_folder(_elsewhere(run))


def remove(layout: Layout) -> None:
    """Removes the folder for temporary files, if it was needed and nothing is in it."""
    with suppress(OSError):
        _elsewhere(layout.run.resolve()).rmdir()


def _elsewhere(run: Path) -> Path:
    # The same one for the same stack: after a crash the next start finds, and removes, its own.
    name = hashlib.sha256(os.fsencode(run)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"conch-{name}"


def private_folder(folder: Path) -> Path:
    """Makes `folder`, unless it is there; StackError when others could have a hand in it."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not is_ours or stat.S_IMODE(found.st_mode) & 0o077:
        raise StackError(f"{folder} is not a private folder of this user; move it out of the way")
    return folder

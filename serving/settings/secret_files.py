"""Secrets of the environment, of files it names, or of a mounted folder. Standard library only."""

import os
from pathlib import Path

DIRECTORY_VARIABLE = "CONCH_SECRETS_DIR"


class BadSettings(Exception):
    """Variables have values that cannot be used; a line each names the variable and its value."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def read_secret(variable: str) -> str | None:
    """The secret `variable`: its value, or that of `<variable>_FILE`, or of the mounted folder.

    The first line of a file counts. Raises BadSettings for a file that is empty or cannot be read.
    """
    given = os.environ.get(variable)
    return given or read_secret_file(variable)


def read_secret_file(variable: str) -> str | None:
    """Like `read_secret`, where the variable itself is not set."""
    if path := os.environ.get(f"{variable}_FILE"):
        return first_line(Path(path), f"{variable}_FILE={path}")
    if folder := os.environ.get(DIRECTORY_VARIABLE):
        return _mounted(Path(folder), variable)
    return None


def _mounted(folder: Path, variable: str) -> str | None:
    """The file named `variable`, in letters of either case."""
    shown = f"{DIRECTORY_VARIABLE}={folder}"
    try:
        found = [path for path in folder.iterdir() if path.name.upper() == variable]
    except OSError as error:
        raise BadSettings(f"{shown} cannot be read: {error.strerror}") from error
    if len(found) > 1:
        raise BadSettings(f"{shown} has several files for {variable}: keep one of them")
    return first_line(found[0], f"{found[0]}, of {shown},") if found else None


def first_line(path: Path, shown: str) -> str:
    """The secret in a file that an error calls `shown`; BadSettings when there is none."""
    try:
        line = path.read_text().partition("\n")[0].strip()
    except OSError as error:
        raise BadSettings(f"{shown} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadSettings(f"{shown} cannot be read: it is not UTF-8 text") from error
    if not line:
        raise BadSettings(f"{shown} is empty: its first line has to be the secret")
    return line

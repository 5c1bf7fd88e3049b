"""The key of a stack: made once, kept in a file only its owner can read."""

import secrets
import string
from pathlib import Path

from serving.stack.layout import write_private

PREFIX = "ck_live"
ID_LENGTH = 10
SECRET_LENGTH = 43
ALPHABET = string.ascii_letters + string.digits


def new_key() -> str:
    """`ck_live_<id>_<secret>`; the secret has more than 256 bits."""
    return f"{PREFIX}_{_random(ID_LENGTH)}_{_random(SECRET_LENGTH)}"


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def ensure(path: Path) -> None:
    """Makes the key file unless there is one."""
    if not path.exists():
        write_private(path, f"{new_key()}\n")

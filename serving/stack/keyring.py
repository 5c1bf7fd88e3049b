"""The secrets of a stack: each made once, kept in a file that only its owner can read."""

import secrets
from collections.abc import Callable
from pathlib import Path

from serving.contract.api_keys import new_key
from serving.settings.secret_files import first_line
from serving.stack.layout import write_private


def new_secret() -> str:
    """More than 256 bits, in letters that need no quoting anywhere."""
    return secrets.token_urlsafe(48)


def new_api_key() -> str:
    return new_key().text


def ensure(path: Path, make: Callable[[], str] = new_secret) -> str:
    """The secret in `path`, made unless there is one; BadSettings when it cannot be read."""
    if not path.exists():
        write_private(path, f"{make()}\n", is_durable=True)
    return first_line(path, str(path))

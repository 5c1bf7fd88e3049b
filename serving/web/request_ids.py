"""The id that a request has in answers, logs and errors."""

import re
import secrets

from starlette.types import Scope

_TAKEN = re.compile(r"[\x21-\x7e]{1,128}")


def request_id(given: str = "") -> str:
    """The client's own where it is short and printable, else a new one."""
    return given if _TAKEN.fullmatch(given) else f"req_{secrets.token_hex(12)}"


def of_scope(scope: Scope) -> str:
    """The id of an HTTP request; clients give theirs as `x-request-id`."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return request_id(given.decode("latin-1"))

"""Where a `$ref` of a JSON schema points to, within the same schema."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class Target:
    """A part of a schema."""

    schema: Any


def target(root: Any, pointer: str) -> Target | None:
    """None: there is no such part, or it is not in this schema."""
    if pointer == "#":
        return Target(root)
    if not pointer.startswith("#/"):
        return None
    found = root
    for raw in pointer[2:].split("/"):
        step = unquote(raw).replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return Target(found)

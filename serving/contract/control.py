"""Operations on a BLS model itself: JSON in its input `control`, JSON in its output of that name.

They need a grant with `can_control`, and travel on Triton's own port only.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from serving.contract.errors import InvalidRequest

LIST = "adapters.list"
ADD = "adapters.add"
REMOVE = "adapters.remove"
PIN = "adapters.pin"
UNPIN = "adapters.unpin"
WARM = "adapters.warm"
STATS = "adapters.stats"

# operation -> what it must be told, each a string
_FIELDS: dict[str, tuple[str, ...]] = {
    LIST: (),
    ADD: ("name", "path"),
    REMOVE: ("name",),
    PIN: ("name",),
    UNPIN: ("name",),
    WARM: ("name",),
    STATS: (),
}


@dataclass(frozen=True, slots=True)
class Operation:
    """What is to be done. `path` is a folder of the machine that Triton runs on."""

    op: str
    name: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class AdapterItem:
    """An adapter as `list` tells of it; the others answer with the one they are about.

    `is_resident`: the engine is believed to hold it now.
    """

    name: str
    version: int
    base: str
    task_id: int
    rank: int
    is_pinned: bool
    is_resident: bool


def encode_operation(operation: Operation) -> str:
    said = {name: value for name, value in asdict(operation).items() if value}
    return orjson.dumps(said).decode()


def parse_operation(text: str) -> Operation:
    """Raises InvalidRequest that says what is wrong with it."""
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _wrong(f"'control' is not JSON: {error}") from error
    if not isinstance(said, dict) or str(said.get("op")) not in _FIELDS:
        raise _wrong(f"'control' needs 'op', one of {', '.join(_FIELDS)}")
    return _operation(said)


def _operation(said: Mapping[str, Any]) -> Operation:
    wanted = {"op", *_FIELDS[said["op"]]}
    if set(said) != wanted or not all(isinstance(value, str) and value for value in said.values()):
        raise _wrong(f"'{said['op']}' takes {' and '.join(sorted(wanted))}, each a string")
    return Operation(**said)


def _wrong(message: str) -> InvalidRequest:
    return InvalidRequest(message, param="control")


def encode_list(items: list[AdapterItem]) -> bytes:
    """The answer to `adapters.list`."""
    return orjson.dumps({"adapters": [asdict(item) for item in items]})


def decode_list(text: str | bytes) -> list[AdapterItem]:
    return [AdapterItem(**item) for item in orjson.loads(text)["adapters"]]

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
REQUESTS = "requests.list"
SHOW = "requests.show"
PAUSE = "requests.pause"
RESUME = "requests.resume"
CANCEL = "requests.cancel"
PAUSE_CLASS = "requests.pause_class"
RESUME_CLASS = "requests.resume_class"
QUEUE = "requests.stats"

# operation -> what it must be told, each a string
_FIELDS: dict[str, tuple[str, ...]] = {
    LIST: (),
    ADD: ("name", "path"),
    REMOVE: ("name",),
    PIN: ("name",),
    UNPIN: ("name",),
    WARM: ("name",),
    STATS: (),
    REQUESTS: (),
    SHOW: ("id",),
    PAUSE: ("id",),
    RESUME: ("id",),
    CANCEL: ("id",),
    PAUSE_CLASS: ("class_name",),
    RESUME_CLASS: ("class_name",),
    QUEUE: (),
}


@dataclass(frozen=True, slots=True)
class Operation:
    """What is to be done. `path` is a folder of the machine that Triton runs on.

    `id` is that of a Triton request, or what a gateway made one from: its own request id.
    """

    op: str
    name: str = ""
    path: str = ""
    id: str = ""
    class_name: str = ""


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


@dataclass(frozen=True, slots=True)
class RequestItem:
    """One sequence of a request, as `requests.list` tells of it; the other operations on requests
    answer with those they are about, in the same form.

    `state` is waiting, running, stopping (it is being stopped in the engine, to wait or to pause)
    or paused. `place` counts from 1 for those that wait, in the order in which they would be let in
    now. `why` says in words why it does not run. Times are in seconds, tokens in tokens.
    """

    id: str
    index: int
    state: str
    class_name: str
    tenant: str
    adapter: str | None
    session: str | None
    age_s: float
    waited_s: float
    paused_s: float
    prompt_tokens: int
    made_tokens: int
    max_tokens: int
    preemptions: int
    is_resumable: bool
    place: int | None
    why: str


@dataclass(frozen=True, slots=True)
class QueueStats:
    """The queue as a whole: by class, who waits and who runs, and what was done so far."""

    places: int
    tokens: int
    used_tokens: int
    waiting: Mapping[str, int]
    running: Mapping[str, int]
    paused_classes: tuple[str, ...]
    preemptions: int
    resumes: int
    refusals: Mapping[str, int]
    fairness: float
    drain_per_s: float | None


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


def encode_requests(items: list[RequestItem]) -> bytes:
    """The answer to operations on requests."""
    return orjson.dumps({"requests": [asdict(item) for item in items]})


def decode_requests(text: str | bytes) -> list[RequestItem]:
    return [RequestItem(**item) for item in orjson.loads(text)["requests"]]


def encode_queue(stats: QueueStats) -> bytes:
    """The answer to `requests.stats`, and to operations on classes."""
    return orjson.dumps(asdict(stats))


def decode_queue(text: str | bytes) -> QueueStats:
    said = orjson.loads(text)
    return QueueStats(**{**said, "paused_classes": tuple(said["paused_classes"])})


def decode_list(text: str | bytes) -> list[AdapterItem]:
    return [AdapterItem(**item) for item in orjson.loads(text)["adapters"]]

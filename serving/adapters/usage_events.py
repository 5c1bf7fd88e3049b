"""Usage events as JSON: in leases, streams and spool files, written by older and newer gateways."""

from dataclasses import MISSING, fields
from itertools import chain
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from serving.contract.guardrails import Verdict
from serving.contract.usage import MOST_VERDICTS, Status, UsageEvent

_FIELDS = frozenset(field.name for field in fields(UsageEvent))
_VERDICT = TypeAdapter(Verdict)
_NEEDED = frozenset(field.name for field in fields(UsageEvent) if field.default is MISSING)


class Malformed(ValueError):
    """Not a usage event."""


def encode(event: UsageEvent) -> bytes:
    return orjson.dumps(event)


def decode(data: bytes) -> UsageEvent:
    """Raises Malformed. Fields that are not known here are left out."""
    try:
        return of_fields(orjson.loads(data))
    except orjson.JSONDecodeError as error:
        raise Malformed(f"a usage event is not JSON: {error}") from error


def of_fields(given: Any) -> UsageEvent:
    """The event of a JSON object; raises Malformed."""
    if not isinstance(given, dict) or not given.keys() >= _NEEDED:
        raise Malformed("a usage event lacks some of its fields")
    known = {name: value for name, value in given.items() if name in _FIELDS}
    try:
        read = {"status": Status(known["status"]), "verdicts": _verdicts(known.get("verdicts"))}
        return UsageEvent(**known | read)
    except ValueError as error:
        raise Malformed(f"a usage event has no such status: {error}") from error


def _verdicts(given: Any) -> tuple[Verdict, ...]:
    """Those that can be read: what a newer version says of them holds up no bill."""
    return tuple(chain.from_iterable(map(_verdict, _listed(given)[:MOST_VERDICTS])))


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else []


def _verdict(given: Any) -> list[Verdict]:
    try:
        return [_VERDICT.validate_python(given)]
    except ValidationError:
        return []

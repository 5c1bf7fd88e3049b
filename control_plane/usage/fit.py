"""Whether an event can be stored, and made to fit where only its texts cannot. Pure.

What a gateway of another version, or a client's odd text, puts into an event must not hold up the
rest. Money and tokens are never changed.
"""

from dataclasses import replace
from typing import Any

from serving.contract.guardrails import Verdict
from serving.contract.policy import LogPrivacy
from serving.contract.usage import MOST_VERDICTS, Status, UsageEvent

LONGEST = 256  # bytes; all dimensions of a roll-up have to fit into one index entry
LATEST = 32503680000.0  # the year 3000
_TEXTS = ("request_id", "tenant", "project", "principal", "endpoint", "model")
_OPTIONAL_TEXTS = ("reason", "adapter", "route", "user", "session", "cache")
_MOST = {
    "prompt_tokens": 2**31 - 1,
    "cached_tokens": 2**31 - 1,
    "completion_tokens": 2**31 - 1,
    "reasoning_tokens": 2**31 - 1,
    "cost_nusd": 2**53,
}
_LONGEST_MS = 1e11
_FARTHEST = 2**31 - 1  # into a text, or a conversation


class Unfit(ValueError):
    """The event cannot be stored; the message names the field, not its value."""


def fitted(event: UsageEvent) -> UsageEvent:
    """The event with texts that PostgreSQL takes; raises Unfit."""
    for field in _flaws(event):
        raise Unfit(f"'{field}' is no value of a usage event")
    texts = {name: getattr(event, name) for name in (*_TEXTS, *_OPTIONAL_TEXTS)}
    misfits: dict[str, Any] = {
        name: _cut(text) for name, text in texts.items() if not is_short(text)
    }
    if event.verdicts:
        misfits["verdicts"] = tuple(map(_short, filter(_is_sound, event.verdicts)))[:MOST_VERDICTS]
    return replace(event, **misfits) if misfits else event


def private(event: UsageEvent, privacy: LogPrivacy) -> UsageEvent:
    """Without what a person could be found by, where nothing like that is to be kept."""
    if privacy is not LogPrivacy.NONE:
        return event
    return replace(event, request_id=event.id, user=None, session=None, verdicts=())


def _flaws(event: UsageEvent) -> list[str]:
    """The fields that no cutting mends."""
    fields = {name: getattr(event, name) for name in event.__slots__}
    flaws = [name for name in _TEXTS if type(fields[name]) is not str]
    flaws += [n for n in _OPTIONAL_TEXTS if type(fields[n]) is not str and fields[n] is not None]
    flaws += [name for name, most in _MOST.items() if not _is_count(fields[name], most)]
    flaws += [name for name in ("ttft_ms", "latency_ms") if not _is_time(fields[name])]
    if not isinstance(fields["status"], Status):
        flaws.append("status")
    if not _is_number(fields["began_at"], LATEST):
        flaws.append("began_at")
    if type(fields["id"]) is not str or not fields["id"] or not is_short(fields["id"]):
        flaws.append("id")
    return flaws


def _is_sound(verdict: Verdict) -> bool:
    places = (verdict.place, verdict.begin, verdict.end)
    are_places = all(at is None or _is_count(at, _FARTHEST) for at in places)
    return are_places and _is_number(verdict.score, 1)


def _short(verdict: Verdict) -> Verdict:
    what = None if verdict.what is None else _cut(verdict.what)
    return replace(verdict, check=_cut(verdict.check), policy=_cut(verdict.policy), what=what)


def is_short(text: str | None) -> bool:
    """Whether PostgreSQL takes it as it is, in an index too."""
    if text is None or (text.isascii() and len(text) <= LONGEST and "\0" not in text):
        return True
    return len(text.encode(errors="replace")) <= LONGEST and text == _cut(text)


def _cut(text: str) -> str:
    """Without NUL and half characters, which PostgreSQL has no place for."""
    data = text.replace("\0", "\ufffd").encode(errors="replace")
    return data[:LONGEST].decode(errors="ignore")


def _is_count(value: Any, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def _is_time(value: Any) -> bool:
    return value is None or _is_number(value, _LONGEST_MS)


def _is_number(value: Any, most: float) -> bool:
    return type(value) in (int, float) and 0 <= value <= most  # NaN is in no range

"""What clients say beside a request of its scheduling: its class, and how long to wait for what."""

from collections.abc import Callable
from dataclasses import replace

from gateway.api.schemas import INT32_MAX
from gateway.api.service_tier import CLASS_OF
from gateway.ask import Ask
from serving.contract.calls import Call, Timeouts
from serving.contract.errors import InvalidRequest
from serving.contract.grant import CLASSES
from serving.contract.wire import MAX_SESSION

# The value of a header (or of metadata) by its name in lower case; None where it is not there.
Said = Callable[[str], str | None]

PRIORITY = "X-Priority"
SESSION = "X-Session-Id"
TOTAL = "X-Timeout-Ms"
TTFT = "X-TTFT-Timeout-Ms"
IDLE = "X-Idle-Timeout-Ms"
DEADLINE = "X-Deadline-Ms"
_DIGITS = len(str(INT32_MAX))


def scheduled(ask: Ask, said: Said) -> Ask:
    """`ask` with what is said beside it. What it says itself counts more, its service tier less.

    Raises InvalidRequest with the name of the header.
    """
    wanted = Call(
        priority=_priority(said) or CLASS_OF.get(ask.service_tier or ""),
        timeouts=Timeouts(_time(said, TOTAL), _time(said, TTFT), _time(said, IDLE)),
        deadline_ms=_time(said, DEADLINE),
    )
    if wanted == Call():
        return ask
    return replace(ask, calls=tuple(_filled(call, wanted) for call in ask.calls))


def session_of(said: Said) -> str | None:
    """The session that is named beside a request. Raises InvalidRequest."""
    session = said(SESSION.lower()) or None
    if session is not None and len(session) > MAX_SESSION:
        # Cut off, two sessions could be one.
        raise InvalidRequest(
            f"'{SESSION}' has {len(session)} characters, it can have {MAX_SESSION}", param=SESSION
        )
    return session


def _filled(call: Call, wanted: Call) -> Call:
    own, beside = call.timeouts, wanted.timeouts
    return replace(
        call,
        priority=call.priority or wanted.priority,
        timeouts=Timeouts(
            own.total_ms or beside.total_ms,
            own.ttft_ms or beside.ttft_ms,
            own.idle_ms or beside.idle_ms,
        ),
        deadline_ms=call.deadline_ms or wanted.deadline_ms,
    )


def _priority(said: Said) -> str | None:
    name = said(PRIORITY.lower())
    if name is not None and name not in CLASSES:
        raise InvalidRequest(
            f"'{PRIORITY}' is '{name[:64]}', it must be one of {', '.join(CLASSES)}",
            param=PRIORITY,
        )
    return name


def _time(said: Said, header: str) -> int | None:
    text = said(header.lower())
    if text is None:
        return None
    # The digits are counted first: to read very many takes long.
    is_whole = text.isascii() and text.isdigit() and len(text) <= _DIGITS
    if not is_whole or not 1 <= int(text) <= INT32_MAX:
        raise InvalidRequest(
            f"'{header}' is '{text[:64]}', it must be milliseconds: a whole number from 1 to "
            f"{INT32_MAX}",
            param=header,
        )
    return int(text)

"""What is left of a caller's limits, as the headers that OpenAI's clients know."""

import re

from serving.contract.errors import ConchError
from serving.contract.quota import Admission, Rate, Refusal

Headers = list[tuple[bytes, bytes]]
_NOT_PRINTABLE = re.compile(rb"[^\x20-\x7e]")


def quota_headers(given: Admission | Refusal) -> Headers:
    headers = [*_rate(b"requests", given.requests), *_rate(b"tokens", given.tokens)]
    if isinstance(given, Admission):
        headers += [(b"x-conch-warning", _printable(warning)) for warning in given.warnings]
    return headers


def refusal_headers(error: ConchError) -> Headers:
    """For clients that would try again what cannot pass; `retry-after` is the edge's."""
    return [] if error.is_retryable else [(b"x-should-retry", b"false")]


def _rate(of: bytes, rate: Rate | None) -> Headers:
    if rate is None:
        return []
    return [
        (b"x-ratelimit-limit-" + of, b"%d" % rate.limit),
        (b"x-ratelimit-remaining-" + of, b"%d" % rate.remaining),
        (b"x-ratelimit-reset-" + of, duration(rate.reset_s).encode()),
    ]


def duration(seconds: float) -> str:
    """As Go writes it, and so OpenAI: 0s, 120ms, 8.64s, 6m0s, 1h2m3s."""
    ms = round(seconds * 1e3)
    if 0 < ms < 1_000:
        return f"{ms}ms"
    minutes, rest_ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest_ms / 1e3:g}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _printable(text: str) -> bytes:
    """Nothing in it can end the header: names of models and tenants are in it."""
    return _NOT_PRINTABLE.sub(b"?", text.encode())

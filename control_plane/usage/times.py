"""Moments and spans of time as people write them, and what they are cut into. Pure."""

import re
from datetime import UTC, datetime

from control_plane.usage.rollup import DAY, HOUR, KEPT_S, MINUTE, WIDTH_S

UNITS_S = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
SPAN = re.compile(r"(?P<count>[1-9][0-9]{0,5})(?P<unit>[mhdw])")
LATEST = 253402300800.0  # the year 10000, which is after all that PostgreSQL and Python agree on
FEW_BUCKETS = 100


def moment(text: str, now: float) -> float:
    """The Unix time that `text` says: `7d` ago (m, h, d, w), an ISO date or time, or Unix time."""
    span = SPAN.fullmatch(text)
    if span is not None:
        return max(0.0, now - int(span["count"]) * UNITS_S[span["unit"]])
    try:
        at = float(text) if text.isdigit() else _iso(text)
    except ValueError:
        at = -1.0
    if not 0 <= at < LATEST:
        raise ValueError(f"'{text}' is no time: write 90m, 24h, 7d, 2w, 2025-06-15 or Unix seconds")
    return at


def _iso(text: str) -> float:
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def granularity_for(begin: float, end: float, now: float) -> str:
    """The finest one that is still kept and cuts the time into few pieces."""
    for each in (MINUTE, HOUR):
        is_kept = now - begin <= KEPT_S[each]
        if is_kept and end - begin <= FEW_BUCKETS * WIDTH_S[each]:
            return each
    return DAY

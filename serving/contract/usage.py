"""The usage event: what is known of one request when it is over. Every request ends in one."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from serving.contract.guardrails import STRENGTH, Verdict

MOST_VERDICTS = 32  # of one event


class Status(StrEnum):
    """How a request ended.

    `lost` is written for a request whose gateway died: it is billed what its last renewal said, and
    gives way to the settled event if that comes after all.
    """

    OK = "ok"
    CANCELLED = "cancelled"
    FAILED = "failed"
    REFUSED = "refused"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """One request. `id` is the gateway's own and unique; `request_id` may be the client's.

    Times are Unix seconds and milliseconds, money is nanodollars. `reason` is the code of the error
    that ended it. `verdicts` are at most MOST_VERDICTS of its guardrails', the gravest first.
    `cache` is `hit` where the answer was there or another request's: then it cost nothing, and its
    tokens count for no quota.
    """

    id: str
    request_id: str
    began_at: float
    tenant: str
    project: str
    principal: str
    endpoint: str
    model: str
    status: Status
    reason: str | None = None
    adapter: str | None = None
    route: str | None = None
    user: str | None = None
    session: str | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nusd: int = 0
    ttft_ms: float | None = None
    latency_ms: float | None = None
    verdicts: tuple[Verdict, ...] = ()
    cache: str | None = None


def gravest(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """As many as one event holds, the strongest actions first."""
    return tuple(sorted(verdicts, key=lambda each: -STRENGTH[each.action])[:MOST_VERDICTS])

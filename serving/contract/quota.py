"""What is asked of the quota store before a request, and what it says. Pure data.

A request counts in up to four scopes of its tenant: `key` (or user), `project`, `tenant` and
`tenant × model`. All limits of all four are checked in one step; all are taken or none.
"""

from dataclasses import dataclass

from serving.contract.errors import ConchError
from serving.contract.policy import Limits, Price
from serving.contract.usage import UsageEvent


@dataclass(frozen=True, slots=True)
class Scope:
    """One set of counters, e.g. `key:3fA9x` or `model:demo`, and the limits they are held to."""

    name: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one request wants to take. `event` is what is known of it before it has run.

    The event is kept in the lease: it is the `lost` event if nobody ever settles, and has that
    status.
    `input_tokens` and `output_tokens` are estimates.
    """

    event: UsageEvent
    scopes: tuple[Scope, ...]
    input_tokens: int
    output_tokens: int
    price: Price
    model_limits: Limits | None = None  # of the model over all tenants
    warn_at_percent: tuple[int, ...] = ()  # of a budget

    @property
    def cost_nusd(self) -> int:
        """What it costs at most; it counts against budgets until it is settled."""
        price = self.price
        return self.input_tokens * price.input_nusd + self.output_tokens * price.output_nusd


@dataclass(frozen=True, slots=True)
class Rate:
    """What is left of the tightest limit of one sort, for `x-ratelimit-*` headers."""

    limit: int
    remaining: int
    reset_s: float


@dataclass(frozen=True, slots=True)
class Admission:
    """A lease was taken. The rates are None where no limit is set."""

    requests: Rate | None = None
    tokens: Rate | None = None
    warnings: tuple[str, ...] = ()  # of budgets, in words


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing was taken. `error` is one of the 429s; it says which scope and which limit."""

    error: ConchError
    retry_after_s: float
    requests: Rate | None = None
    tokens: Rate | None = None

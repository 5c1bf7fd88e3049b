"""What the quota store answered, as admissions and refusals that people understand. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serving.contract.errors import (
    BudgetExhausted,
    QuotaConcurrency,
    QuotaExceeded,
    QuotaRequests,
    QuotaTokens,
    QuotaTooSmall,
)
from serving.contract.policy import Limits
from serving.contract.quota import Admission, Rate, Refusal, Reservation, Scope

REQUESTS, INPUT, OUTPUT, DAY, RUNNING, BUDGET = range(1, 7)
NEVER = -1
NUSD = 1_000_000_000
ALL_TENANTS = "all"  # the scope of a model over all tenants
_LIMITS = {
    REQUESTS: ("requests_per_minute", "requests a minute"),
    INPUT: ("input_tokens_per_minute", "input tokens a minute"),
    OUTPUT: ("output_tokens_per_minute", "output tokens a minute"),
    DAY: ("tokens_per_day", "tokens a day"),
    RUNNING: ("concurrent_requests", "requests at a time"),
}
_ERRORS: dict[int, type[QuotaExceeded]] = {
    REQUESTS: QuotaRequests,
    INPUT: QuotaTokens,
    OUTPUT: QuotaTokens,
    DAY: QuotaTokens,
    RUNNING: QuotaConcurrency,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A reply of quota_reserve.lua about `scopes`, in its order; see there."""

    scopes: Sequence[Scope | None]
    is_taken: bool
    kind: int
    scope: int
    wait_ms: int
    requests: Rate | None
    tokens: Rate | None
    spent_nusd: Sequence[int]
    expired: Sequence[str]


def verdict(reply: list[Any], scopes: Sequence[Scope | None]) -> Verdict:
    is_taken, kind, scope, wait_ms = reply[:4]
    return Verdict(
        scopes,
        bool(is_taken),
        kind,
        scope,
        wait_ms,
        _rate(*reply[4:7]),
        _rate(*reply[7:10]),
        reply[10],
        [lease_id.decode() for lease_id in reply[11]],
    )


def _rate(limit: int, remaining: int, reset_ms: int) -> Rate | None:
    return None if limit < 0 else Rate(limit, remaining, reset_ms / 1e3)


def admission(given: Verdict, reservation: Reservation) -> Admission:
    warnings = [
        warning
        for scope, spent in zip(given.scopes, given.spent_nusd, strict=True)
        if scope is not None and spent >= 0
        for warning in _warnings(scope, spent, reservation)
    ]
    return Admission(given.requests, given.tokens, tuple(warnings))


def _warnings(scope: Scope, spent: int, reservation: Reservation) -> list[str]:
    limits, who = scope.limits, _who(scope, reservation)
    told = []
    if limits.soft_budget_nusd is not None and spent > limits.soft_budget_nusd:
        told.append(f"{who} is past its soft budget of {_usd(limits.soft_budget_nusd)} a month")
    if limits.budget_nusd:
        reached = [p for p in reservation.warn_at_percent if spent * 100 >= limits.budget_nusd * p]
        if reached:
            budget = _usd(limits.budget_nusd)
            told.append(f"{who} has used {max(reached)} % of its budget of {budget} a month")
    return told


def refusal(given: Verdict, reservation: Reservation) -> Refusal:
    scope = given.scopes[given.scope - 1]
    assert scope is not None, "only scopes that count can refuse"
    wait_s = max(given.wait_ms, 0) / 1e3
    error = _error(given, scope, reservation)
    error.retry_after_s = None if isinstance(error, QuotaTooSmall) else wait_s
    return Refusal(error, wait_s, given.requests, given.tokens)


def _error(given: Verdict, scope: Scope, reservation: Reservation) -> QuotaExceeded:
    who = _who(scope, reservation)
    if given.kind == BUDGET:
        return BudgetExhausted(
            f"the budget of {who} is {_usd(scope.limits.budget_nusd or 0)} a month, and what is "
            "left of it does not pay for this request; it can be raised, or begins anew next month"
        )
    field, words = _LIMITS[given.kind]
    limit = f"{who} is limited to {getattr(scope.limits, field)} {words}"
    if given.wait_ms == NEVER:
        return QuotaTooSmall(f"{limit}, and {_needs(given.kind, scope.limits, reservation)}")
    if given.kind == RUNNING:
        return QuotaConcurrency(f"{limit}; try again when one of them has ended")
    return _ERRORS[given.kind](f"{limit}; try again in {given.wait_ms / 1e3:g} s")


def _needs(kind: int, limits: Limits, reservation: Reservation) -> str:
    """Why a request can never pass, and what could be done."""
    if getattr(limits, _LIMITS[kind][0]) == 0:
        return "so no request of this sort can pass"
    needed = {
        INPUT: f"about {reservation.input_tokens} input tokens: send less at once",
        OUTPUT: f"up to {reservation.output_tokens} output tokens: ask for fewer with 'max_tokens'",
        DAY: f"up to {reservation.input_tokens + reservation.output_tokens} tokens: ask for fewer",
    }[kind]
    return f"this request alone needs {needed}"


def _who(scope: Scope, reservation: Reservation) -> str:
    kind, _, name = scope.name.partition(":")
    if kind == "tenant":
        return f"tenant '{reservation.event.tenant}'"
    if scope.name == ALL_TENANTS:
        return f"model '{reservation.event.model}', by all together,"
    if kind == "model":
        return f"tenant '{reservation.event.tenant}' with model '{name}'"
    return f"{kind} '{name}'"


def _usd(nusd: int) -> str:
    """At least to the cent, and never rounded: $12.50, $0.0004."""
    dollars, rest = divmod(nusd, NUSD)
    return f"${dollars:,}.{f'{rest:09}'.rstrip('0'):0<2}"

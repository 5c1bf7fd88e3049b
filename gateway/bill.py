"""The usage event of one request, at any moment of its life."""

import secrets
from dataclasses import dataclass, replace

from gateway.cost import cost_nusd
from gateway.estimates import Estimate
from gateway.telemetry import Record
from serving.contract.cache import CacheOutcome
from serving.contract.errors import Expired
from serving.contract.policy import FREE, Price
from serving.contract.usage import Status, UsageEvent, gravest


@dataclass(frozen=True, slots=True)
class Bill:
    """`event` is what was known before it ran, `record` what is known since."""

    event: UsageEvent
    price: Price
    estimate: Estimate
    record: Record

    def so_far(self) -> UsageEvent:
        """What is billed if nothing more is ever heard of it."""
        return self.ended(Status.LOST, None)

    def ended(self, status: Status, reason: str | None) -> UsageEvent:
        prompt_tokens, completion_tokens = self._tokens(status, reason)
        is_hit = self.record.cache is CacheOutcome.HIT
        cached_tokens = prompt_tokens if is_hit else self.record.tally.cached_tokens or 0
        first_s = self.record.first_token_s
        return replace(
            self.event,
            status=status,
            reason=reason,
            prompt_tokens=prompt_tokens,
            cached_tokens=cached_tokens,
            completion_tokens=completion_tokens,
            cost_nusd=cost_nusd(
                FREE if is_hit else self.price,
                prompt_tokens=prompt_tokens,
                cached_tokens=cached_tokens,
                completion_tokens=completion_tokens,
            ),
            ttft_ms=None if first_s is None else first_s * 1e3,
            latency_ms=self.record.age_s * 1e3,
            verdicts=gravest(self.record.verdicts),
            cache=CacheOutcome.HIT.value if is_hit else None,
        )

    def refused(self, reason: str) -> UsageEvent:
        return replace(self.event, status=Status.REFUSED, reason=reason)

    def _tokens(self, status: Status, reason: str | None) -> tuple[int, int]:
        """As the model server reports them; it may not have yet when the client leaves early."""
        tally = self.record.tally
        prompt_tokens, completion_tokens = tally.prompt_tokens, tally.completion_tokens
        if prompt_tokens or completion_tokens:
            return prompt_tokens, completion_tokens
        if self.record.first_token_s is not None:
            return self.estimate.prompt_tokens, 1
        # It was sent off, so the prompt may have been read. To hang up must not make it free.
        was_dispatched = bool(self.record.model)
        if was_dispatched and (status is Status.CANCELLED or reason == Expired.code):
            return self.estimate.prompt_tokens, 0
        return 0, 0


def new_event_id(now: float) -> str:
    """Unique, and in the order of time: neighbours in the ledger's index."""
    return f"{int(now * 1e3):012x}{secrets.token_hex(8)}"

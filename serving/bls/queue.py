"""A BLS model's queue: what stands in line for a request, and how long it may take."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from serving.bls.language import Prompt
from serving.bls.resumable import why_not_resumable
from serving.bls.scheduling.job import Job
from serving.bls.scheduling.timeouts import TimeLimits
from serving.bls.turns import About, Tell, Turn, Turns
from serving.contract.calls import Call, Sampling
from serving.contract.grant import Grant


class Request(Protocol):
    """What the queue has to know of a request; `rank` is its class."""

    @property
    def id(self) -> str: ...
    @property
    def call(self) -> Call: ...
    @property
    def grant(self) -> Grant: ...
    @property
    def prompt(self) -> Prompt: ...
    @property
    def sampling(self) -> Sampling: ...
    @property
    def rank(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Queue:
    """`timeouts` are what counts where a call says nothing, `caps` the most that it can ask for.

    Tenants that `weights` does not name have the weight 1.
    """

    turns: Turns
    timeouts: TimeLimits
    caps: TimeLimits
    weights: Mapping[str, float]

    def line(self, request: Request, index: int, tell: Tell) -> AbstractAsyncContextManager[Turn]:
        """Stand in line for one sequence. Raises Refused at once when that would be in vain."""
        call = request.call
        about = About(index, call.adapter, call.session)
        limits = self.timeouts.asked(call.timeouts, self.caps)
        return self.turns.line(self._job(request), limits, about, tell)

    def _job(self, request: Request) -> Job:
        call, tenant, now_s = request.call, request.grant.tenant, self.turns.clock()
        return Job(
            id=request.id,
            tenant=tenant,
            rank=request.rank,
            prompt_tokens=len(request.prompt.ids),
            max_tokens=request.prompt.max_tokens,
            arrived_s=now_s,
            is_resumable=why_not_resumable(call, request.sampling) is None,
            weight=self.weights.get(tenant, 1.0),
            deadline_s=None if call.deadline_ms is None else now_s + call.deadline_ms / 1e3,
            program=None if call.session is None else f"{tenant}/{call.session}",
        )

"""The order in which the scheduler decides, for a comparison with a real engine."""

from collections.abc import Iterable

from loadtests.simulation.engine import NEVER
from loadtests.simulation.engine_model import EngineModel
from loadtests.simulation.replica import Replica
from loadtests.simulation.request import Outcome, Request
from serving.bls.scheduling.job import Job
from serving.bls.scheduling.policy import Policy
from serving.bls.scheduling.scheduler import Act, Decision


def order_of_decisions(
    jobs: Iterable[tuple[Job, int]], policy: Policy, model: EngineModel
) -> list[tuple[Act, str]]:
    """What is decided, and of which job, on one engine, each job coming when it `arrived_s`.

    With every job comes how many tokens its answer has. What `submit` refuses is not among them.
    """
    decided: list[tuple[Act, str]] = []

    def note(decision: Decision) -> None:
        decided.append((decision.act, decision.entry.job.id))

    replica = Replica(model, policy, _ignore, on_decision=note)
    for job, answer_tokens in sorted(jobs, key=lambda each: each[0].arrived_s):
        _run_until(replica, job.arrived_s)
        replica.submit(_request(job, answer_tokens), job.arrived_s)
    _run_until(replica, NEVER)
    return decided


def _run_until(replica: Replica, until_s: float) -> None:
    while replica.next_s <= until_s and replica.next_s < NEVER:
        replica.tick(replica.next_s)


def _ignore(_outcome: Outcome) -> None:
    """The order is all that is asked for."""


def _request(job: Job, answer_tokens: int) -> Request:
    return Request(
        id=job.id,
        tenant=job.tenant,
        rank=job.rank,
        prompt_tokens=job.prompt_tokens,
        answer_tokens=answer_tokens,
        max_tokens=job.max_tokens,
        program=job.program,
        is_resumable=job.is_resumable,
        weight=job.weight,
        timeout_s=None if job.deadline_s is None else job.deadline_s - job.arrived_s,
    )

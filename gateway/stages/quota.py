"""Reserve: what a request may use is taken before it, and settled with what it used after it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

from gateway.ask import Ask
from gateway.bill import Bill
from gateway.estimates import Estimates
from gateway.governor import Governor
from gateway.reservation import bound, event_of, reservation
from gateway.stages.quota_headers import quota_headers, refusal_headers
from gateway.telemetry import Record
from serving.contract.errors import Blocked, Cancelled, ConchError, InternalError
from serving.contract.principal import Principal
from serving.contract.quota import Admission, Reservation
from serving.contract.usage import Status, UsageEvent
from serving.identity.directory import Directory


@contextmanager
def noted(
    governor: Governor, directory: Directory, principal: Principal, record: Record
) -> Iterator[None]:
    """What ends within the block, before any quota was asked for, ends in a usage event too.

    It has no model, since what it asked for may never have been understood.
    """
    try:
        yield
    except BaseException as error:
        status, reason = _ending(error)
        if isinstance(error, ConchError) and not isinstance(error, Cancelled):
            status = Status.REFUSED
        _, project = bound(directory, principal)
        event = event_of(directory, principal, project, None, record)
        latency_ms = record.age_s * 1e3
        governor.end(replace(event, status=status, reason=reason, latency_ms=latency_ms), None)
        raise


@asynccontextmanager
async def reserve(
    governor: Governor, directory: Directory, principal: Principal, ask: Ask, record: Record
) -> AsyncIterator[UsageEvent]:
    """What is known of the request at its start. Raises Forbidden, or what the quotas refuse with.

    However the block is left, the request is settled once, with what the record has counted.
    """
    estimate = governor.estimates.of(principal.id, ask.model, ask.calls, ask.prompt_bytes)
    wanted = reservation(directory, principal, ask, record, estimate)
    bill = Bill(wanted.event, wanted.price, estimate, record)
    await _admit(governor, directory, wanted, bill)
    status, reason = Status.OK, None
    try:
        yield wanted.event
    except BaseException as error:
        status, reason = _ending(error)
        raise
    finally:
        event = bill.ended(status, reason)
        governor.end(event, wanted)
        _learn(governor.estimates, ask, event)


async def _admit(governor: Governor, directory: Directory, wanted: Reservation, bill: Bill) -> None:
    try:
        given = await governor.admit(wanted, directory.settings, bill.so_far)
    except BaseException as error:
        # Redis may have taken the lease all the same.
        governor.end(_not_admitted(bill, error), wanted)
        raise
    bill.record.headers += quota_headers(given)
    if isinstance(given, Admission):
        governor.warn(given.warnings)
        return
    refusal = given.error
    bill.record.headers += refusal_headers(refusal)
    governor.metrics.refused.labels(refusal.code).inc()
    governor.end(bill.refused(refusal.code), None)
    raise refusal


def _not_admitted(bill: Bill, error: BaseException) -> UsageEvent:
    if isinstance(error, ConchError):
        return bill.refused(error.code)
    return bill.ended(*_ending(error))


def _ending(error: BaseException) -> tuple[Status, str]:
    if isinstance(error, Cancelled | asyncio.CancelledError | GeneratorExit):
        return Status.CANCELLED, Cancelled.code
    if isinstance(error, Blocked):
        return Status.REFUSED, error.code
    return Status.FAILED, error.code if isinstance(error, ConchError) else InternalError.code


def _learn(estimates: Estimates, ask: Ask, event: UsageEvent) -> None:
    """From requests that ended by themselves how many tokens the next will take."""
    if event.status is not Status.OK or not event.prompt_tokens:
        return
    choices = sum(call.n for call in ask.calls)
    estimates.learn_answer(event.principal, event.model, event.completion_tokens / choices)
    if all(call.input_ids is None for call in ask.calls):
        estimates.learn_prompt(event.model, ask.prompt_bytes, event.prompt_tokens)

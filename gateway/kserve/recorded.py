"""The record of one request, whatever becomes of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from structlog.contextvars import bind_contextvars, bound_contextvars

from gateway.api.errors import as_ours
from gateway.kserve.rpc import Rpc
from gateway.telemetry import Record, log
from serving.contract.errors import InternalError
from serving.web.request_ids import request_id


@asynccontextmanager
async def recorded(rpc: Rpc, record: Record) -> AsyncIterator[None]:
    """The block is the request: it is counted and logged once, and raises ConchError only."""
    record.began()
    record.status = 200
    with bound_contextvars(request_id=record.request_id):
        try:
            with rpc.hang_ups():
                yield
        except Exception as exception:
            error = as_ours(exception)
            record.status, record.reason = error.status, error.code
            if isinstance(error, InternalError):
                log.error("request_failed", exc_info=exception)
            raise error from exception
        finally:
            record.ended()


def rename(record: Record, given: str) -> None:
    """The client's own id, once it is known."""
    record.request_id = request_id(given)
    bind_contextvars(request_id=record.request_id)

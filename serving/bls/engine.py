"""The engine model as the pipeline sees it: a stream of tokens that can be left at any moment."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from itertools import count
from secrets import token_hex
from typing import Any, Protocol

import numpy.typing as npt

from serving.bls.engine_tensors import OUTPUTS, Tokens, decode, in_callers_words, stop_request
from serving.contract.errors import ConchError

Arrays = Mapping[str, npt.NDArray[Any]]
STOP_TIMEOUT_S = 5.0

_PROCESS = token_hex(4)
_numbers = count(1)


def new_request_id() -> str:
    """One that no live request of the engine has.

    Ours, not the client's: two live requests with one id could not be told apart by a stop. The
    engine may have callers beside this process, or requests of the one before it.
    """
    return f"conch-{_PROCESS}-{next(_numbers)}"


class Infer(Protocol):
    """Calls a decoupled model and yields its responses; closed early, it cancels the call."""

    def __call__(
        self, model: str, arrays: Arrays, outputs: Sequence[str], *, request_id: str
    ) -> AsyncGenerator[Arrays, None]: ...


class Engine:
    """Starts and stops requests of one engine model."""

    def __init__(self, model: str, infer: Infer) -> None:
        self._model = model
        self._infer = infer

    @asynccontextmanager
    async def stream(
        self, arrays: Arrays, outputs: Sequence[str], *, request_id: str
    ) -> AsyncIterator[AsyncIterator[Tokens]]:
        """Tokens of one request. Leaving the block early ends it in the engine before returning."""
        stream = _Stream(self._infer(self._model, arrays, outputs, request_id=request_id))
        try:
            async with aclosing(stream.tokens()) as tokens:
                yield tokens
        finally:
            if not stream.is_ended:
                await _finished(asyncio.create_task(self._stop(request_id)))

    async def _stop(self, request_id: str) -> None:
        """Tell the engine now; that the call was cancelled it finds out by itself, but later.

        That also covers a stop that overtakes its request, or that is lost.
        """
        with suppress(ConchError, TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                stop = self._infer(self._model, stop_request(), OUTPUTS, request_id=request_id)
                async for _ in stop:
                    pass


class _Stream:
    """The responses of one request; `is_ended` once the engine itself has ended them."""

    def __init__(self, responses: AsyncGenerator[Arrays, None]) -> None:
        self._responses = responses
        self.is_ended = False

    async def tokens(self) -> AsyncGenerator[Tokens, None]:
        async with aclosing(self._responses) as responses:
            try:
                async for response in responses:
                    yield decode(response)
            except ConchError as error:
                self.is_ended = True
                raise in_callers_words(error) from error
        self.is_ended = True


async def _finished(task: "asyncio.Task[None]") -> None:
    """Wait for `task`, however often we are cancelled ourselves meanwhile."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled

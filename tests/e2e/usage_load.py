"""Clients of a stack by REST and gRPC, each request under an id of its own, and what they saw."""

import asyncio
import json
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import Any

import grpc
import httpx
import tritonclient.grpc.aio as triton
from asking import PROMPT, SHORT, TIMEOUT_S, inputs
from governed import Key
from tritonclient.utils import InferenceServerException

from serving.contract.errors import ConchError, QuotaUnavailable, from_wire

LONG = {"max_tokens": 150, "min_tokens": 150, "stream": True}
ENDLESS = {"max_tokens": 900, "min_tokens": 900, "stream": True, "prompt": [PROMPT] * 4}
SHORT_PAUSE_S, LONG_PAUSE_S = 0.4, 1.0  # of a client between two requests, on average
READ_BEFORE_LEAVING = 5  # lines
# Each channel has a connection of its own, and with it a gateway worker.
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


class End(Enum):
    """How a request ended in the eyes of its client."""

    UNREACHED = auto()  # no connection
    UNTOLD = auto()  # sent, and nothing came back
    REFUSED = auto()  # by the policy for when Redis is away
    BROKEN = auto()  # after its first bytes
    LEFT = auto()  # by the client, after its first bytes
    ANSWERED = auto()


@dataclass
class Sight:
    """One request. `tokens` of prompt and answer, where the client was told."""

    request_id: str
    began_s: float
    ended_s: float = 0.0
    end: End = End.UNTOLD
    tokens: tuple[int, int] | None = None

    @property
    def was_admitted(self) -> bool:
        return self.end in (End.BROKEN, End.LEFT, End.ANSWERED)


Send = Callable[[Sight, Key], Awaitable[None]]
Leaves = Callable[[int], bool]  # whether a client hangs up, after so many lines


def _stays(_: int) -> bool:
    return False


def _soon(lines: int) -> bool:
    return lines > READ_BEFORE_LEAVING


@dataclass
class Load:
    """What is asked of a stack, until `stop`. An answer that is none of `End` fails the load."""

    rest: httpx.AsyncClient
    grpc_address: str
    model: str
    seen: list[Sight] = field(default_factory=list)
    _is_stopped: bool = False

    def stop(self) -> None:
        self._is_stopped = True

    async def until_more(self, count: int) -> None:
        """Until so many more requests have ended."""
        enough = len(self.seen) + count
        async with asyncio.timeout(TIMEOUT_S):
            while len(self.seen) < enough:
                await asyncio.sleep(0.01)

    async def keep_asking(self, send: Send, key: Key, pause_s: float) -> None:
        while not self._is_stopped:
            await self._ask(send, key)
            await asyncio.sleep(random.uniform(0, 2 * pause_s))

    async def _ask(self, send: Send, key: Key) -> None:
        sight = Sight(f"{key.id}-{secrets.token_hex(8)}", time.monotonic())
        await send(sight, key)
        sight.ended_s = time.monotonic()
        self.seen.append(sight)

    @asynccontextmanager
    async def open_streams(self, keys: Sequence[Key]) -> AsyncIterator[None]:
        """Within the block one of each key has begun and goes on."""
        begun, is_over = asyncio.Semaphore(0), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for key in keys:
                group.create_task(self._hold(key, begun, is_over))
            for _ in keys:
                await begun.acquire()
            try:
                yield
            finally:
                is_over.set()

    async def _hold(self, key: Key, begun: asyncio.Semaphore, is_over: asyncio.Event) -> None:
        """Again until it is not refused."""

        def leaves(lines: int) -> bool:
            if lines == 1:
                begun.release()
            return is_over.is_set()

        while not is_over.is_set():
            await self._ask(partial(self.rest_stream, body=ENDLESS, leaves=leaves), key)
            await asyncio.sleep(SHORT_PAUSE_S)

    async def rest_answer(self, sight: Sight, key: Key) -> None:
        try:
            reply = await self.rest.send(self._rest_request(sight, key, SHORT))
        except httpx.ConnectError:
            sight.end = End.UNREACHED
        except httpx.TransportError:
            sight.end = End.UNTOLD
        else:
            _saw_reply(sight, reply)

    async def rest_stream(
        self,
        sight: Sight,
        key: Key,
        *,
        body: Mapping[str, Any] = LONG,
        leaves: Leaves = _stays,
    ) -> None:
        try:
            reply = await self.rest.send(self._rest_request(sight, key, body), stream=True)
            async with aclosing(reply):
                await self._read_events(sight, reply, leaves)
        except httpx.ConnectError:
            sight.end = End.UNREACHED
        except httpx.TransportError:
            sight.end = End.BROKEN if sight.was_admitted else End.UNTOLD

    async def _read_events(self, sight: Sight, reply: httpx.Response, leaves: Leaves) -> None:
        if reply.is_error:
            await reply.aread()
            _saw_reply(sight, reply)
            return
        sight.end = End.LEFT
        lines = 0
        async with aclosing(reply.aiter_lines()) as read:
            async for line in read:
                lines += 1
                if line == "data: [DONE]":
                    sight.end = End.ANSWERED
                if leaves(lines) or self._is_stopped:
                    return

    def _rest_request(self, sight: Sight, key: Key, body: Mapping[str, Any]) -> httpx.Request:
        headers = {**key.headers, "x-request-id": sight.request_id}
        asked = {"model": self.model, "prompt": PROMPT, **body}
        return self.rest.build_request("POST", "/completions", json=asked, headers=headers)

    async def grpc_answer(self, sight: Sight, key: Key) -> None:
        asked = {"inputs": inputs(**SHORT), "request_id": sight.request_id}
        async with self._channel() as client:
            try:
                await client.infer(self.model, **asked, headers=key.headers)
            except InferenceServerException as error:
                sight.end = _end_of(from_wire(error.message()))
            else:
                sight.end = End.ANSWERED

    async def grpc_stream(self, sight: Sight, key: Key) -> None:
        async def asked() -> AsyncIterator[dict[str, Any]]:
            yield {
                "model_name": self.model,
                "inputs": inputs(**LONG),
                "request_id": sight.request_id,
            }

        async with self._channel() as client:
            try:
                await self._read_results(sight, client.stream_infer(asked(), headers=key.headers))
            except (InferenceServerException, grpc.RpcError):
                sight.end = End.BROKEN if sight.was_admitted else End.UNTOLD

    async def _read_results(self, sight: Sight, stream: Any) -> None:
        async for result, error in stream:
            if error is not None:
                sight.end = _end_of(from_wire(error.message()))
                return
            is_last = result.get_response().parameters["triton_final_response"].bool_param
            sight.end = End.ANSWERED if is_last else End.LEFT
            if self._is_stopped:
                stream.cancel()
                return

    def _channel(self) -> triton.InferenceServerClient:
        return triton.InferenceServerClient(self.grpc_address, channel_args=OWN_CONNECTION)


def _saw_reply(sight: Sight, reply: httpx.Response) -> None:
    if reply.is_success:
        used = reply.json()["usage"]
        sight.end = End.ANSWERED
        sight.tokens = used["prompt_tokens"], used["completion_tokens"]
    else:
        code = reply.json()["error"]["code"]
        sight.end = _end_of(from_wire(f"{code}: {json.dumps(reply.text)}"))


def _end_of(error: ConchError | None) -> End:
    """Of a request that got no answer; None for an error that is not the gateway's."""
    if error is None:
        return End.UNTOLD
    assert isinstance(error, QuotaUnavailable), error
    return End.REFUSED


@asynccontextmanager
async def load(stack: Any, keys: Sequence[Key], *, clients: int) -> AsyncIterator[Load]:
    """Runs within the block: of each key `clients` of each sort of short request, and streams."""
    # No connection is used twice, so that all workers get some.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=stack.base_url, limits=limits, trust_env=False, timeout=TIMEOUT_S
    ) as rest:
        made = Load(rest, f"127.0.0.1:{stack.variables['GATEWAY_GRPC_PORT']}", stack.model)
        async with asyncio.TaskGroup() as group:
            for send, pause_s in _sorts(made, clients):
                for key in keys:
                    group.create_task(made.keep_asking(send, key, pause_s))
            try:
                yield made
            finally:
                made.stop()


def _sorts(made: Load, clients: int) -> list[tuple[Send, float]]:
    short = [(made.rest_answer, SHORT_PAUSE_S), (made.grpc_answer, SHORT_PAUSE_S)] * clients
    streams = made.rest_stream, partial(made.rest_stream, leaves=_soon), made.grpc_stream
    return [*short, *((send, LONG_PAUSE_S) for send in streams)]

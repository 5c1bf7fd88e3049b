"""The endpoints that generate: one request through the pipeline, streamed or whole."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from starlette.types import Receive, Scope, Send

from gateway.api.caller import AskOf, HttpCaller
from gateway.api.choices import Choice, gather
from gateway.api.keep_alive import keep_alive
from gateway.api.sse import DONE, EventStream
from gateway.gate import Gate
from gateway.pipeline import Answer, answer
from gateway.tally import Tally
from gateway.telemetry import Record
from serving.contract.calls import Chunk
from serving.contract.task_errors import bare_errors


class Reply(Protocol):
    """How an endpoint family words an answer."""

    def events(self, chunk: Chunk) -> bytes: ...
    def usage_event(self, tally: Tally) -> bytes: ...
    def whole(self, choices: Iterable[Choice], tally: Tally) -> bytes: ...


class Generation:
    """An ASGI endpoint; the raw interface, because the client's hang-up comes by `receive`."""

    def __init__(self, ask_of: AskOf, reply_of: Callable[[Answer], Reply]) -> None:
        self._ask_of = ask_of
        self._reply_of = reply_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gate: Gate = scope["state"]["gate"]
        record: Record = scope["state"]["record"]
        caller = HttpCaller(scope, receive, self._ask_of, gate)
        stream = EventStream(send)
        whole: bytes | None = None
        async with answer(caller, record, gate) as given:
            reply = self._reply_of(given)
            if given.ask.is_streamed:
                await _pour(given, reply, stream, comment_s=gate.settings.sse_comment_s)
            else:
                whole = reply.whole(await gather(given.chunks), given.tally)
        # The response ends outside of the block: to its watcher an ended response is a hang-up.
        if whole is None:
            await stream.end()
        else:
            await send_json(send, whole)


async def _pour(given: Answer, reply: Reply, stream: EventStream, *, comment_s: float) -> None:
    with bare_errors():
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(keep_alive(stream, given.states, comment_s))
            async for chunk in given.chunks:
                events = b"" if chunk.is_notice else reply.events(chunk)
                if events:
                    await stream.push(events)
            last = reply.usage_event(given.tally) if given.ask.has_usage_event else b""
            await stream.push(last + DONE)
            keeper.cancel()


async def send_json(send: Send, body: bytes) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})

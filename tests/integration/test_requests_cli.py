"""`conch requests` on the real stack: what an operator sees of streams that run, and does to them.

The commands run in this process: to start one takes a second, and there are many.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest
from engine_client import PROMPT, connected
from typer.testing import CliRunner

from serving.cli.main import app
from serving.contract.calls import Call, Chunk, Sampling, SequenceState
from serving.contract.control import PAUSE, Operation, encode_operation
from serving.contract.errors import Cancelled, from_wire
from serving.contract.grant import Grant, sign
from serving.contract.wire import decode_chunk, encode_call, single

MAX_TOKENS = 900
SEQUENCES = 4
# Longer than a test takes: each of its streams is ended by somebody.
CALL = Call(
    input_ids=tuple(PROMPT),
    sampling=Sampling(temperature=0.0, max_tokens=MAX_TOKENS, min_tokens=MAX_TOKENS, end_id=7),
    n=SEQUENCES,
    priority="agent",
    is_streamed=True,
)
SHORT = replace(
    CALL, sampling=Sampling(max_tokens=4, end_id=7), priority="interactive", n=1, is_streamed=False
)
_numbers = count()


@dataclass
class Answer:
    """What has come of one stream so far."""

    request_id: str
    chunks: list[Chunk] = field(default_factory=list)
    error: str | None = None

    @property
    def text(self) -> str:
        return "".join(chunk.text for chunk in self.chunks)

    @property
    def states(self) -> list[SequenceState]:
        return [chunk.state for chunk in self.chunks if chunk.state is not None]

    async def read(self, stream: Any) -> None:
        async for result, error in stream:
            if error is not None:
                self.error = error.message()
                return
            outputs = result.get_response().outputs
            self.chunks.append(decode_chunk({o.name: result.as_numpy(o.name) for o in outputs}))


class Operator:
    """Whoever has the stack's grant key and its command."""

    def __init__(self, client: Any, stack: Any) -> None:
        self.client = client
        self._stack = stack
        self._key = (stack.var / "secrets" / "grant_key").read_text().strip().encode()

    async def told(self, *arguments: str, code: int = 0) -> Any:
        """What a command says as JSON; its complaint where one is expected."""
        words = ["requests", *arguments, "--json"]
        variables = self._stack.variables
        done = await asyncio.to_thread(CliRunner().invoke, app, words, env=variables)
        assert done.exit_code == code, done.output
        return done.output if code else json.loads(done.stdout)

    async def all(self, *arguments: str) -> dict[str, set[Any]]:
        """What the sequences of one request say of themselves, each value once."""
        items = await self.told(*arguments)
        assert len(items) == SEQUENCES
        return {name: {item[name] for item in items} for name in items[0]}

    def granted(self, call: Call) -> tuple[str, Any]:
        request_id = f"operated-{next(_numbers)}-{'0' * 16}"
        grant = Grant(request_id, "demo", "team", time.time() + 60, class_ceiling="interactive")
        return request_id, encode_call(replace(call, grant=self._signed(grant)))

    async def ask(self, call: Call) -> Any:
        request_id, arrays = self.granted(call)
        return await self.client.ask("demo", arrays, request_id)

    async def pause_at_once(self, answer: Answer) -> None:
        """Before it can end: a command takes its time to start."""
        request_id = f"pause-{next(_numbers)}"
        grant = Grant(request_id, "demo", "_", time.time() + 60, can_control=True)
        said = encode_operation(Operation(PAUSE, id=answer.request_id))
        arrays = {"control": single("STRING", said), "grant": single("STRING", self._signed(grant))}
        assert (await self.client.ask("demo", arrays, request_id)).error is None

    def _signed(self, grant: Grant) -> str:
        return sign(grant, self._key)

    @asynccontextmanager
    async def opened(self, call: Call = CALL) -> AsyncIterator[Answer]:
        """A stream, which is hung up on at the end."""
        request_id, arrays = self.granted(call)
        answer = Answer(request_id)
        stream = self.client.stream("demo", arrays, request_id)
        reader = asyncio.create_task(answer.read(stream))
        try:
            yield answer
        finally:
            stream.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def running(self, answer: Answer) -> None:
        """Until more of its text comes."""
        had = len(answer.text)
        await self.client.until(lambda: len(answer.text) > had)

    async def in_state(self, answer: Answer, state: SequenceState) -> None:
        """Until its client was told so of every sequence."""
        await self.client.until(lambda: answer.states[-SEQUENCES:] == [state] * SEQUENCES)


@pytest.fixture
async def operator(stack):
    async with connected(stack) as client:
        yield Operator(client, stack)


@pytest.fixture
async def resumed(operator):
    """Whatever a test does, the class is let go on."""
    yield
    await operator.told("resume", "--class", "agent")


@pytest.mark.usefixtures("resumed")
async def test_a_stream_is_seen_paused_resumed_and_cancelled(operator):
    await operator.told("pause", "--class", "agent")
    async with operator.opened() as answer:
        await operator.in_state(answer, SequenceState.PAUSED)
        said = await operator.all("list", "--class", "agent", "--tenant", "team")
        assert (said["id"], said["state"]) == ({answer.request_id}, {"paused"})
        assert (said["why"], said["made_tokens"]) == ({"its class is paused"}, {0})

        start = answer.request_id.rpartition("-")[0]
        assert (await operator.all("pause", start))["id"] == {answer.request_id}
        await operator.told("resume", "--class", "agent")
        assert (await operator.all("show", start))["why"] == {"paused by an operator"}
        await operator.told("resume", start)
        await operator.running(answer)

        await operator.pause_at_once(answer)
        await operator.in_state(answer, SequenceState.PAUSED)
        await operator.client.until(lambda: operator.client.running() == 0)
        text = answer.text
        before, after = [await operator.all("show", start) for _ in range(2)]
        assert (before["state"], after["state"], answer.text) == ({"paused"}, {"paused"}, text)
        assert before["made_tokens"] == after["made_tokens"] != {0}
        assert max(before["paused_s"]) < min(after["paused_s"])

        await operator.told("cancel", start)
        await operator.client.until(lambda: answer.error is not None)
        assert type(from_wire(answer.error)) is Cancelled
        assert await operator.told("list", "--tenant", "team") == []
        assert "waits or runs" in await operator.told("show", start, code=1)


@pytest.mark.usefixtures("resumed")
async def test_a_paused_class_waits_and_holds_up_no_other(operator):
    stats = await operator.told("pause", "--class", "agent")
    assert stats["paused_classes"] == ["agent"]
    async with operator.opened() as first, operator.opened() as second:
        for answer in (first, second):
            await operator.in_state(answer, SequenceState.PAUSED)
        assert (await operator.ask(SHORT)).error is None
        items = await operator.told("list", "--class", "agent")
        assert {item["id"] for item in items} == {first.request_id, second.request_id}
        assert {item["state"] for item in items} == {"paused"}

        assert (await operator.told("stats"))["waiting"]["agent"] == 2 * SEQUENCES
        assert (await operator.told("resume", "--class", "agent"))["paused_classes"] == []
        for answer in (first, second):
            await operator.running(answer)

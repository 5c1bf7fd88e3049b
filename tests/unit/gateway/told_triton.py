"""A gateway before a Triton whose answers the test tells chunk by chunk, and a client of it."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
from tritonclient.grpc import service_pb2

from gateway.app import build, open_gate
from gateway.gate import Gate
from gateway.metrics import Metrics
from gateway.settings import GatewaySettings
from gateway.stages.auth import ALONE
from gateway.stages.route import Catalogue
from serving.contract.calls import Call, Chunk, FinishReason, SequenceState, Usage
from serving.contract.principal import Principal
from serving.identity.identify import Credentials

PATIENCE_S = 10.0
LAST = Chunk(text="z", finish_reason=FinishReason.STOP, usage=Usage(3, 2))
PAUSED = Chunk(state=SequenceState.PAUSED)
WAITING = Chunk(state=SequenceState.WAITING)
RUNNING = Chunk(state=SequenceState.RUNNING)


class Told:
    """The transport of a Triton. Each answer takes what is told next; an exception fails it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.is_open = False
        self._said: asyncio.Queue[Chunk | Exception] = asyncio.Queue()

    def tell(self, *said: Chunk | Exception) -> None:
        for one in said:
            self._said.put_nowait(one)

    @asynccontextmanager
    async def stream(self, _model: str, call: Call, _id: str) -> AsyncIterator[Any]:
        self.calls.append(call)
        self.is_open = True
        try:
            yield self._chunks(call.n)
        finally:
            self.is_open = False

    async def _chunks(self, left: int) -> AsyncIterator[Chunk]:
        while left:
            said = await self._said.get()
            if isinstance(said, Exception):
                raise said
            left -= said.finish_reason is not None
            yield said

    async def metadata(self, _model: str) -> Any:
        return service_pb2.ModelMetadataResponse(versions=["1"])


class Known:
    """Everybody is the principal of the test."""

    def __init__(self) -> None:
        self.principal: Principal = ALONE

    async def admit(self, _: Credentials) -> Principal:
        return self.principal


class World:
    """A gate and what stands around it."""

    def __init__(self, gate: Gate) -> None:
        self.triton, self.known, self.metrics = Told(), Known(), Metrics()
        self.gate = replace(
            gate,
            gatekeeper=self.known,
            triton=self.triton,  # type: ignore[arg-type]
            catalogue=Catalogue(self._models),
        )

    async def _models(self) -> tuple[str, ...]:
        return ("demo",)

    def sample(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"conch_gateway_{name}", labels) or 0.0

    @asynccontextmanager
    async def client(self, **body: Any) -> AsyncIterator["Client"]:
        """One that has asked for a stream; it hangs up at the end of the block."""
        headers = {name[2:]: body.pop(name) for name in [*body] if name.startswith("x_")}
        client = Client({"stream": True, "model": "demo", "prompt": "a", **body}, headers)
        app = build(self.gate, self.metrics)
        task = asyncio.create_task(app(client.scope, client.receive, client.send))
        try:
            yield client
        finally:
            client.hang_up()
            await asyncio.wait_for(task, PATIENCE_S)


@asynccontextmanager
async def world_of(**options: Any) -> AsyncIterator[World]:
    settings = GatewaySettings(
        governed=False, api_key="sk-unit", triton_url="127.0.0.1:1", **options
    )
    async with open_gate(settings, Metrics()) as gate:
        yield World(gate)


class Client:
    """The client's end of an ASGI request: what is sent comes piece by piece, while it reads."""

    def __init__(self, body: dict[str, Any], headers: dict[str, str]) -> None:
        path = "/v1/chat/completions" if "messages" in body else "/v1/completions"
        if "messages" in body:
            del body["prompt"]
        named = {f"x-{name.replace('_', '-')}": value for name, value in headers.items()}
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        }
        self.status = 0
        self.headers: dict[str, str] = {}
        self._messages = [{"type": "http.request", "body": orjson.dumps(body)}]
        self._gone, self._reads = asyncio.Event(), asyncio.Event()
        self._reads.set()
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()

    async def receive(self) -> MutableMapping[str, Any]:
        if self._messages:
            return self._messages.pop()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        await self._reads.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        elif message["body"]:
            self._pieces.put_nowait(message["body"])

    def stop_reading(self) -> None:
        self._reads.clear()

    def read_on(self) -> None:
        self._reads.set()

    def hang_up(self) -> None:
        self._reads.set()
        self._gone.set()

    @property
    def has_more(self) -> bool:
        return not self._pieces.empty()

    async def piece(self) -> bytes:
        """What was sent next, waited for."""
        return await asyncio.wait_for(self._pieces.get(), PATIENCE_S)

    async def until(self, end: bytes) -> bytes:
        """All that is sent up to and with the piece that has `end`."""
        data = b""
        while end not in data:
            data += await self.piece()
        return data


async def until(is_so: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.005)

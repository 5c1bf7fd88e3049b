"""The gRPC front in this process, before a Triton of the caller's choice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from gateway.app import open_gate
from gateway.gate import Gate
from gateway.kserve.server import Front, serve_grpc
from gateway.metrics import Metrics
from gateway.settings import GatewaySettings

KEY = "sk-grpc"
HEADERS = {"authorization": f"Bearer {KEY}"}
METADATA = tuple(HEADERS.items())
NOWHERE = "127.0.0.1:1"
OF_FRONT = {"is_shared", "max_calls", "max_connections", "stream_requests", "grace_s"}


@dataclass(frozen=True)
class Hosted:
    """A front that serves."""

    address: str
    metrics: Metrics
    gate: Gate

    def sample(self, name: str, **labels: str) -> float:
        """The sum of a metric's series that have these labels."""
        return sum(
            sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == f"conch_gateway_{name}" and labels.items() <= sample.labels.items()
        )


@asynccontextmanager
async def front(triton_url: str, **options: Any) -> AsyncIterator[Hosted]:
    """A front; `options` are fields of Front or of the gateway's settings."""
    of_front = {name: options.pop(name) for name in OF_FRONT & options.keys()}
    settings = GatewaySettings(
        **{
            "governed": False,
            "api_key": KEY,
            "triton_url": triton_url,
            "connect_timeout_s": 0.2,
            **options,
        }
    )
    where = Front("127.0.0.1", 0, **{"grace_s": 0.05, **of_front})
    metrics = Metrics()
    async with open_gate(settings, metrics) as gate, serve_grpc(gate, metrics, where) as port:
        yield Hosted(f"127.0.0.1:{port}", metrics, gate)


@asynccontextmanager
async def stub_of(hosted: Hosted) -> AsyncIterator[Any]:
    """tritonclient's bare stub."""
    async with grpc.aio.insecure_channel(hosted.address) as channel:
        yield GRPCInferenceServiceStub(channel)

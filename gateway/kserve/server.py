"""The listening side of the gRPC front."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from gateway.gate import Gate
from gateway.kserve.service import Service
from gateway.metrics import Metrics
from gateway.settings import BadSettings

FAREWELL_S = 5.0  # for calls to be told; the server stops as soon as the last one has been
PING_INTERVAL_MS = 10_000
IDLE_CONNECTION_MS = 300_000


@dataclass(frozen=True, slots=True)
class Front:
    """Where it listens and how much it takes. A port of 0 takes a free one.

    `is_shared` lets other processes listen on the same port; the kernel spreads connections.
    At the end, calls have `grace_s` to end by themselves before they are told to.

    `max_connections` is of all addresses together: gRPC tells nobody of a connection before it has
    a call. Calls are counted by address, and are identified before their message is read; until
    then gRPC holds no more of one than its flow control lets in, and never `max_body_bytes`.
    """

    host: str
    port: int
    is_shared: bool = False
    max_calls: int = 4096
    max_connections: int = 1024
    stream_requests: int = 64
    grace_s: float = 1.0


@asynccontextmanager
async def serve_grpc(gate: Gate, metrics: Metrics, front: Front) -> AsyncIterator[int]:
    """Serve for the block, which gets the port. Raises BadSettings for one that cannot be had."""
    closing = asyncio.Event()
    service = Service(gate, metrics, closing, stream_requests=front.stream_requests)
    server = grpc.aio.server(
        handlers=(service.handler(),),
        options=_options(gate, front),
        maximum_concurrent_rpcs=front.max_calls,
    )
    port = _listen(server, front)
    await server.start()
    try:
        yield port
    finally:
        await _stop(server, closing, front.grace_s)


def _listen(server: Any, front: Front) -> int:
    host = f"[{front.host}]" if ":" in front.host else front.host
    try:
        port: int = server.add_insecure_port(f"{host}:{front.port}")
    except RuntimeError:
        raise BadSettings(f"GATEWAY_GRPC_PORT={front.port}: it cannot be listened on") from None
    return port


def _options(gate: Gate, front: Front) -> list[tuple[str, int]]:
    stall_ms = int(gate.settings.stall_timeout_s * 1e3)
    return [
        ("grpc.so_reuseport", int(front.is_shared)),
        ("grpc.max_receive_message_length", gate.settings.max_body_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_allowed_incoming_connections", front.max_connections),
        # A peer that answers no ping for so long is gone, and its requests with it.
        ("grpc.keepalive_time_ms", stall_ms // 2),
        ("grpc.keepalive_timeout_ms", stall_ms // 2),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # Clients may ping too, while they wait in silence for their turn.
        ("grpc.http2.min_ping_interval_without_data_ms", PING_INTERVAL_MS),
        ("grpc.max_connection_idle_ms", IDLE_CONNECTION_MS),
    ]


async def _stop(server: Any, closing: asyncio.Event, grace_s: float) -> None:
    stopped = asyncio.create_task(server.stop(grace_s + FAREWELL_S))
    await asyncio.wait([stopped], timeout=grace_s)
    closing.set()
    await stopped

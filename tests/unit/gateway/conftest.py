"""The real ASGI application, in this process, with a Triton that cannot be reached."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from gateway.app import build, open_gate
from gateway.metrics import Metrics
from gateway.settings import GatewaySettings

KEY = "sk-unit"
NOWHERE = "127.0.0.1:1"


@asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[httpx.AsyncClient]:
    settings = GatewaySettings(
        **{
            "governed": False,
            "api_key": KEY,
            "triton_url": NOWHERE,
            "connect_timeout_s": 0.2,
            **options,
        }
    )
    metrics = Metrics()
    async with open_gate(settings, metrics) as gate:
        headers = {"authorization": f"Bearer {KEY}"}
        transport = httpx.ASGITransport(build(gate, metrics))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://gateway", headers=headers
        ) as client:
            yield client


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with opened() as client:
        yield client


@pytest.fixture
def open_client() -> Callable[..., Any]:
    """`async with open_client(strict=True) as client` for other settings."""
    return opened

"""A large policy in a running stack, and how fast its stores and its publisher are."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median

import httpx
import psutil

from control_plane.store.database import connect
from control_plane.store.edit import Edit, begin
from loadtests.bench.stack import BenchStack
from serving.adapters import redis
from serving.adapters.redis_scripts import Command
from serving.adapters.redis_wire import Wire
from serving.contract.api_keys import digest, new_key
from serving.contract.permissions import Role
from serving.contract.policy import Key, Limits, Model, Price, Project, Secret, Tenant
from serving.settings.base import load
from serving.settings.stores import DatabaseSettings, RedisSettings
from serving.settings.trust import TrustSettings

KEYS = 10_000
TENANTS = 1_000
AT_ONCE = 50
ASKED = 1_000
CHANGES = 20
# Wide enough for any bench, and all of them are counted.
LIMITS = Limits(
    requests_per_minute=10**7,
    input_tokens_per_minute=10**9,
    output_tokens_per_minute=10**9,
    concurrent_requests=10**4,
    tokens_per_day=10**11,
    budget_nusd=10**13,
)


@dataclass(frozen=True, slots=True)
class Floor:
    """What a round trip to Redis takes at the least, p50 in milliseconds."""

    ping_ms: float
    write_ms: float


def _take_settings(stack: BenchStack) -> None:
    """Where the stores are and how to get in, as the stack told its control plane."""
    theirs = psutil.Process(stack.pid_of("control-plane")).environ()
    wanted = ("DATABASE_", "REDIS_", "CONCH_")
    os.environ.update({k: v for k, v in theirs.items() if k.startswith(wanted)})


async def seed(stack: BenchStack) -> str:
    """Makes tenants, projects and keys with limits of every sort; returns one of the keys."""
    _take_settings(stack)
    pepper = load(TrustSettings).key_pepper.get_secret_value().encode()
    async with connect(load(DatabaseSettings)) as database:
        async with database.session() as session:
            model = Model(stack.model, Price(input_nusd=1, output_nusd=2))
            await (await begin(session, "bench")).put(model, action="create")
        for first in range(0, TENANTS, AT_ONCE):
            async with database.session() as session:
                edit = await begin(session, "bench")
                for number in range(first, first + AT_ONCE):
                    text = await _tenant(edit, f"bench-{number}", pepper)
    return text


async def _tenant(edit: Edit, name: str, pepper: bytes) -> str:
    await edit.put(Tenant(name, name, limits=LIMITS), action="create")
    await edit.put(Project(f"{name}/p", name, "p", limits=LIMITS), action="create")
    for _ in range(KEYS // TENANTS):
        made = new_key()
        secrets = (Secret(digest(made, pepper)),)
        key = Key(made.id, "bench", Role.SERVICE, secrets, name, f"{name}/p", limits=LIMITS)
        await edit.put(key, action="create")
    return made.text


async def floor(stack: BenchStack) -> Floor:
    """One command at a time over the adapter's own connection."""
    _take_settings(stack)
    async with redis.connect(load(RedisSettings)) as client:
        wire = Wire(client)
        ping, write = Command(("PING",)), Command(("SET", "conch:bench", "1"))
        return Floor(
            ping_ms=await _p50_ms(lambda: wire.send([ping])),
            write_ms=await _p50_ms(lambda: wire.send([write])),
        )


async def _p50_ms(ask: Callable[[], Awaitable[object]]) -> float:
    taken_s = []
    for _ in range(ASKED):
        began_s = time.perf_counter()
        await ask()
        taken_s.append(time.perf_counter() - began_s)
    return median(taken_s) * 1e3


async def change_times_ms(stack: BenchStack, base_url: str) -> list[float]:
    """How long after the control plane's answer a revoked key still opens the gateway."""
    control = psutil.Process(stack.pid_of("control-plane")).environ()["CONTROL_PORT"]
    admin = (stack.var / "secrets" / "admin_key").read_text().strip()
    headers = {"authorization": f"Bearer {admin}"}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{control}/v1", headers=headers, trust_env=False
    ) as client:
        return [await _revoked_ms(client, base_url) for _ in range(CHANGES)]


async def _revoked_ms(control: httpx.AsyncClient, base_url: str) -> float:
    body = {"name": "short-lived", "project": "bench-0/p"}
    made = (await control.post("/keys", json=body)).raise_for_status().json()
    await _until(made["key"], base_url, status=200)
    (await control.post(f"/keys/{made['id']}/revoke")).raise_for_status()
    began_s = time.perf_counter()
    await _until(made["key"], base_url, status=401)
    return (time.perf_counter() - began_s) * 1e3


async def _until(key: str, base_url: str, *, status: int) -> None:
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=base_url, headers=headers, trust_env=False) as client:
        async with asyncio.timeout(10):
            while (await client.get("/models")).status_code != status:  # noqa: ASYNC110 - over HTTP
                await asyncio.sleep(0.001)

"""Nothing that was used is lost, and nothing counts twice, whatever is killed on the way."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil
import pytest
from governed import (
    GRANULARITIES,
    Books,
    Key,
    Row,
    control_plane,
    new_key,
)
from processes import ENGINE, frozen, part_of_triton
from usage_load import End, Load, Sight, load
from waiting import until_async

IS_FULL = os.environ.get("CONCH_TEST_SCALE") == "full"
ROUNDS, CLIENTS = (6, 5) if IS_FULL else (1, 2)
STORES = ("redis", "postgres", "control-plane")
WORKERS = ("gateway", "gateway-1")
BETWEEN_KILLS = 15 if IS_FULL else 5  # requests that end
BACK_S, SETTLED_S = 20.0, 20.0
TOLD_S = 2.0  # after an answer, until what it used is stored for sure
BUSY = {"requests_per_minute": 1_000_000, "concurrent_requests": 1_000}
PRICE = {"input_nusd": 100, "cached_input_nusd": 10, "output_nusd": 300}
QUICK = {
    "GATEWAY_WORKERS": str(len(WORKERS)),
    "GATEWAY_LEASE_S": "3",
    "REDIS_TIMEOUT_S": "0.5",
    "CONTROL_USAGE_CLAIM_AFTER_S": "1",
    "CONTROL_USAGE_REAP_EVERY_S": "0.5",
}


@pytest.fixture(scope="module")
def victim(make_stack) -> Any:
    stack = make_stack(**QUICK)
    stack.up()
    with control_plane(stack) as control:
        control.patch(f"/models/{stack.model}/prices", json={"price": PRICE})
    return stack


@pytest.fixture(scope="module")
def keys(victim) -> list[Key]:
    return [new_key(victim, f"{name}/web", limits=BUSY) for name in ("acme", "globex", "initech")]


@dataclass
class Killer:
    """Kills parts of a stack, and knows when it killed a gateway."""

    stack: Any
    gateways_killed_s: list[float] = field(default_factory=list)
    _killed: Counter[str] = field(default_factory=Counter)

    async def kill(self, *parts: str) -> None:
        """All at the same moment, as soon as all are there."""
        await until_async(lambda: all(map(self.stack.pid_of, parts)), BACK_S)
        pids = {part: self.stack.pid_of(part) for part in parts}
        for part, pid in pids.items():
            os.kill(pid, signal.SIGKILL)
            self._killed[part] += 1
            if part in WORKERS:
                self.gateways_killed_s.append(time.monotonic())

    async def kill_busy_gateway(self, loaded: Load, keys: list[Key], *more: str) -> None:
        """The engine stands still meanwhile, so that streams are in their midst for sure."""
        async with loaded.open_streams(2 * keys):
            with frozen(part_of_triton(self.stack, ENGINE)):
                await self.kill(await asyncio.to_thread(self._busier), *more)

    def _busier(self) -> str:
        return max(WORKERS, key=self._in_flight)

    def _in_flight(self, worker: str) -> float:
        port = int(self.stack.variables["GATEWAY_METRICS_PORT"]) + WORKERS.index(worker)
        lines = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text.splitlines()
        marks = tuple(f'conch_gateway_in_flight{{endpoint="{e}"' for e in ("completions", "grpc"))
        return sum(float(line.split()[-1]) for line in lines if line.startswith(marks))

    async def until_all_are_back(self) -> None:
        await until_async(self._is_all_back, BACK_S)

    def _is_all_back(self) -> bool:
        parts = {part["name"]: part for part in self.stack.state()["parts"]}
        return all(
            parts[name]["restarts"] >= times and parts[name]["health"] == "ready"
            for name, times in self._killed.items()
        )

    def was_near(self, sight: Sight) -> bool:
        """Whether a gateway was killed while it ran, or while it was being settled."""
        return any(sight.began_s <= at <= sight.ended_s + TOLD_S for at in self.gateways_killed_s)


def set_policy(stack: Any, on_redis_down: str) -> None:
    """When it returns every gateway has it: policy comes in order, and a key is policy too."""
    with control_plane(stack) as control:
        more = {"allowance_requests_per_minute": 1_000_000}
        control.patch("/policy/settings", json={"on_redis_down": on_redis_down, **more})
    new_key(stack, "acme/web")


async def kill_one_after_the_other(killer: Killer, loaded: Load, keys: list[Key]) -> None:
    for part in random.sample(STORES, len(STORES)) if IS_FULL else ("redis",):
        await loaded.until_more(BETWEEN_KILLS)
        await killer.kill(part)
    await loaded.until_more(BETWEEN_KILLS)
    await killer.kill_busy_gateway(loaded, keys)
    await killer.until_all_are_back()


async def kill_all_at_once(killer: Killer, loaded: Load, keys: list[Key]) -> None:
    """After a while without Redis, so that there is usage on disk."""
    with frozen(psutil.Process(killer.stack.pid_of("redis"))):
        await loaded.until_more(2 * BETWEEN_KILLS)
        await killer.kill_busy_gateway(loaded, keys, *STORES)
    await loaded.until_more(BETWEEN_KILLS)
    if IS_FULL:  # the last time they come back sooner without the load
        await killer.until_all_are_back()
        await loaded.until_more(BETWEEN_KILLS)


async def test_every_request_counts_once_whatever_is_killed(victim, keys):
    books, killer = Books.of(victim), Killer(victim)
    async with load(victim, keys, clients=CLIENTS) as loaded:
        for _ in range(ROUNDS):
            await asyncio.to_thread(set_policy, victim, "refuse")
            await kill_one_after_the_other(killer, loaded, keys)
            await asyncio.to_thread(set_policy, victim, "allow")
            await kill_all_at_once(killer, loaded, keys)
    await killer.until_all_are_back()
    await until_async(books.is_settled, SETTLED_S)
    assert_all_are_counted_once(loaded.seen, killer, books)
    assert books.counts_nothing_as_running()


def assert_all_are_counted_once(seen: list[Sight], killer: Killer, books: Books) -> None:
    events = books.rows("SELECT * FROM usage_events WHERE tenant <> 'default'")
    by_request: dict[str, Row] = {event["request_id"]: event for event in events}
    assert len(by_request) == len(events)
    assert by_request.keys() <= {sight.request_id for sight in seen}
    for sight in seen:
        assert_plausible(sight, by_request.get(sight.request_id), is_near=killer.was_near(sight))
    assert {End.REFUSED, End.BROKEN} <= {sight.end for sight in seen}
    for granularity in GRANULARITIES:
        assert books.sums_rolled_up(granularity) == books.sums_of_events()
    assert books.rows("SELECT * FROM usage_dead_letters") == []


def assert_plausible(sight: Sight, event: Row | None, *, is_near: bool) -> None:
    """What the database knows of a request, by what its client saw of it."""
    if event is None:
        is_told = sight.was_admitted or (sight.end is End.REFUSED and not is_near)
        assert not is_told, sight
    elif event["status"] == "lost":
        assert is_near, (sight, event)
    elif sight.end is End.ANSWERED:
        used = event["prompt_tokens"], event["completion_tokens"]
        assert (event["status"], sight.tokens or used) == ("ok", used), sight
    elif sight.end is End.REFUSED:
        assert (event["status"], event["reason"]) == ("refused", "quota_unavailable")
    else:
        assert sight.end is not End.UNREACHED, (sight, event)

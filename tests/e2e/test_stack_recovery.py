"""What is left, and what comes back, when parts of a stack are killed."""

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from processes import ENGINE, frozen, part_of_triton
from waiting import allowed, until

BACK_S = 10.0
PARTS = ("redis", "postgres", "control-plane", "triton", "gateway")
STOP_S = 5.0
LONG = {"max_tokens": 900, "min_tokens": 900, "temperature": 1.0, "seed": 1}
QUIET_S = 0.5


@pytest.fixture(scope="module")
def victim(make_stack):
    stack = make_stack()
    stack.up()
    return stack


def answer(stack, **options) -> Iterator[str]:
    body = {"model": stack.model, "messages": [{"role": "user", "content": "Hello!"}]} | options
    with (
        httpx.Client(headers=stack.authorization, trust_env=False, timeout=30) as client,
        client.stream(
            "POST", f"{stack.base_url}/chat/completions", json=body | {"stream": True}
        ) as r,
    ):
        if r.is_error:
            raise httpx.HTTPStatusError(str(r.status_code), request=r.request, response=r)
        yield from (line for line in r.iter_lines() if line.startswith("data: "))


def is_ready(stack, part: str) -> bool:
    return any(p["name"] == part and p["health"] == "ready" for p in stack.state()["parts"])


def is_serving(stack) -> bool:
    try:
        return "data: [DONE]" in list(answer(stack, max_tokens=4))
    except httpx.HTTPError:
        return False


class Reader(threading.Thread):
    """Reads one long answer; `has_begun` once its first event is there."""

    def __init__(self, stack) -> None:
        super().__init__()
        self._stack = stack
        self.lines: list[str] = []
        self.has_begun = threading.Event()

    def run(self):
        for line in answer(self._stack, **LONG):
            self.lines.append(line)
            self.has_begun.set()

    @property
    def broke_off(self) -> bool:
        return any('"error"' in line for line in self.lines[-2:])


@contextmanager
def mid_stream(stack, count: int) -> Iterator[list[Reader]]:
    """Readers in the middle of their answers; within the block the engine is frozen there.

    On a busy machine an answer may be complete before the engine is caught: then from the start.
    """
    while True:
        readers = [Reader(stack) for _ in range(count)]
        for reader in readers:
            reader.start()
        assert all(reader.has_begun.wait(30) for reader in readers)
        with frozen(part_of_triton(stack, ENGINE)):
            until_quiet(readers)
            if all(reader.is_alive() for reader in readers):
                yield readers
                return
        for reader in readers:
            reader.join()


def until_quiet(readers: list[Reader]) -> None:
    """Until nothing more comes of what the engine had said."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET_S:
        if (said := sum(len(reader.lines) for reader in readers)) != seen:
            seen, since = said, time.monotonic()
        time.sleep(QUIET_S / 10)


def test_killed_triton_breaks_streams_off_with_an_error_and_is_back_in_time(victim):
    with mid_stream(victim, 1) as (reader,):
        os.kill(victim.pid_of("triton"), signal.SIGKILL)
    until(lambda: victim.restarts_of("triton") == 1 and is_serving(victim), BACK_S)
    reader.join(1)
    assert reader.broke_off


def test_killed_gateway_is_back(victim):
    os.kill(victim.pid_of("gateway"), signal.SIGKILL)
    until(lambda: is_serving(victim), BACK_S)


@pytest.mark.parametrize("part", ["redis", "postgres", "control-plane"])
def test_killed_store_or_control_plane_is_back_and_nobody_else_falls(victim, part):
    others = [name for name in PARTS if name != part]
    restarts = {name: victim.restarts_of(name) for name in PARTS}
    os.kill(victim.pid_of(part), signal.SIGKILL)
    until(lambda: victim.restarts_of(part) > restarts[part] and is_ready(victim, part), BACK_S)
    until(lambda: is_serving(victim), BACK_S)
    assert {name: victim.restarts_of(name) for name in others}.items() <= restarts.items()


def running_in_bls(stack) -> float:
    metrics = httpx.get(stack.triton_metrics_url, trust_env=False).text
    of_each = re.findall(r'^conch_requests_running{.*model="demo".*} (\S+)', metrics, re.MULTILINE)
    return sum(map(float, of_each))


def test_killed_step_loop_breaks_streams_off_at_once_and_is_back_without_triton(victim):
    restarts = victim.restarts_of("triton")
    with mid_stream(victim, 4) as readers:
        part_of_triton(victim, ENGINE).kill()
    until(lambda: not any(reader.is_alive() for reader in readers), 2)
    assert all(reader.broke_off for reader in readers)
    until(lambda: is_serving(victim), BACK_S)
    until(lambda: running_in_bls(victim) == 0, 1)
    assert victim.restarts_of("triton") == restarts


def test_killed_engine_stub_is_noticed(victim):
    restarts = victim.restarts_of("triton")
    part_of_triton(victim, "demo_engine/1/model.py").kill()
    until(lambda: victim.restarts_of("triton") > restarts, 2 * BACK_S)
    until(lambda: is_serving(victim), BACK_S)


def test_killed_supervisor_leaves_nothing_and_the_next_start_is_quick(victim):
    os.kill(victim.state()["pid"], signal.SIGKILL)
    begun = time.monotonic()
    victim.up()
    assert time.monotonic() - begun < allowed(BACK_S + STOP_S)
    os.kill(victim.state()["pid"], signal.SIGKILL)
    until(lambda: victim.processes() == [], STOP_S)
    assert victim.shared_memory() == []


def test_second_start_reaches_a_token_in_time_and_stops_in_time(victim):
    begun = time.monotonic()
    victim.up()
    assert time.monotonic() - begun < allowed(BACK_S)
    os.kill(victim.state()["pid"], signal.SIGTERM)
    until(lambda: victim.processes() == [], STOP_S)
    assert victim.shared_memory() == []


def test_stack_whose_database_is_away_starts_with_the_policy_it_had_and_serves(victim):
    victim.up(DATABASE_URL="postgresql://conch@127.0.0.1:1/conch")
    assert is_serving(victim)
    assert "its limits are not known" in victim.printed
    assert not is_ready(victim, "control-plane")

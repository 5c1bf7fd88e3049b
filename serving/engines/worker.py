"""The step loop in a process of its own: `step()` holds the GIL, so nobody may share its process.

Commands come and updates go over one pipe; the loop never waits for a client, and ends at EOF.
"""

import os
import sys
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from serving.engines.engine import Engine
from serving.engines.holding import CpuTimes, hold_s, idle_share
from serving.engines.messages import (
    BLOCK_TOKENS,
    Add,
    Cancel,
    EngineSettings,
    LoadFailed,
    LoraNews,
    Progress,
    Ready,
    Update,
)
from serving.engines.openvino import why_no_guides
from serving.engines.outbox import Outbox
from serving.engines.requests import Capacity
from serving.text.model_files import context_length, vocab_size

SAMPLE_PERIOD_S = 0.1
HEARTBEAT_S = 1.0
LOAD_PERIOD_S = 0.005  # how often an engine that only waits for an adapter looks for it


@dataclass(slots=True)
class _IdleMeter:
    """Share of idle CPU on the cores this process may use, read every `SAMPLE_PERIOD_S`."""

    share: float = 1.0
    _read_at_s: float = 0.0
    _times: CpuTimes = field(default_factory=lambda: _cpu_times())

    def read(self, now_s: float) -> float:
        if now_s - self._read_at_s >= SAMPLE_PERIOD_S:
            times = _cpu_times()
            self.share = idle_share(self._times, times)
            self._times, self._read_at_s = times, now_s
        return self.share


def _cpu_times() -> CpuTimes:
    cores = psutil.cpu_times(percpu=True)
    mine = [cores[index] for index in os.sched_getaffinity(0) if index < len(cores)]
    # guest time is part of user time already
    total = sum(sum(core) - core.guest - core.guest_nice for core in mine)
    return CpuTimes(sum(core.idle + core.iowait for core in mine), total)


def serve(connection: Connection, engine: Engine) -> None:
    """Run until the pipe ends."""
    outbox, meter, told, told_s = Outbox(), _IdleMeter(), (0, 0, LoraNews()), 0.0
    while True:
        updates = _obey(connection, engine)
        if not engine.is_idle:
            updates += engine.step()
        now_s = time.monotonic()
        due = outbox.take(updates, now_s, hold_s(meter.read(now_s), engine.running))
        state = (engine.running, engine.waiting, engine.lora_news())
        if due or state != told or now_s - told_s > HEARTBEAT_S:
            connection.send(Progress(due, *state))
            told, told_s = (*state[:2], LoraNews(state[2].resident)), now_s


def _obey(connection: Connection, engine: Engine) -> list[Update]:
    """Carry out the commands that wait; with nothing to do, wait for one."""
    updates: list[Update] = []
    patience_s = _patience_s(engine)
    while connection.poll(patience_s):
        command = connection.recv()
        if isinstance(command, Cancel):
            updates += engine.cancel(command.key)
        else:
            updates += _add(command, engine)
        patience_s = 0.0
    return updates


def _patience_s(engine: Engine) -> float | None:
    if engine.is_idle:
        return None
    return LOAD_PERIOD_S if engine.is_loading and not engine.running else 0.0


def _add(command: Add, engine: Engine) -> list[Update]:
    return [
        update
        for row, request in enumerate(command.requests)
        for sequence in range(request.n)
        for update in engine.add((command.key, row, sequence), request)
    ]


def _capacity(settings: EngineSettings, engine: Engine) -> Capacity:
    path = Path(settings.model_path)
    tokens = settings.kv_blocks * BLOCK_TOKENS
    return Capacity(
        context_length(path), tokens, vocab_size(path), engine.why_no_lora, why_no_guides(path)
    )


def main() -> None:
    """Entry of the child process: `python -m serving.engines.worker FD`."""
    connection = Connection(int(sys.argv[1]))
    settings: EngineSettings = connection.recv()
    try:
        engine = Engine(settings)
        capacity = _capacity(settings, engine)
    except (RuntimeError, OSError, ValueError) as error:
        connection.send(LoadFailed(str(error).strip()))
        return
    connection.send(Ready(capacity))
    try:
        serve(connection, engine)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


if __name__ == "__main__":
    main()

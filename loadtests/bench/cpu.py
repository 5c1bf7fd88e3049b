"""CPU seconds of the processes of a stack, by what they are."""

from pathlib import Path

import psutil


def cpu_seconds(supervisor_pid: int, own_pid: int) -> dict[str, float]:
    """User and system seconds so far of every process under the supervisor, and of `own_pid`."""
    seconds: dict[str, float] = {"load generator": _seconds(psutil.Process(own_pid))}
    for process in psutil.Process(supervisor_pid).children(recursive=True):
        try:
            name = _name(process.cmdline())
            seconds[name] = seconds.get(name, 0.0) + _seconds(process)
        except psutil.NoSuchProcess:
            continue
    return seconds


def spent(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: value - before.get(name, 0.0) for name, value in after.items()}


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _name(command: list[str]) -> str:
    text = " ".join(command)
    if "python_backend_stub" in text:
        model = next(part for part in command if part.endswith("model.py"))
        return "engine stub" if "_engine/" in model else f"stub {Path(model).parent.parent.name}"
    names = {
        "tritonserver": "triton",
        "serving.engines.worker": "engine",
        "-m gateway": "gateway",
        "-m control_plane": "control plane",
        "redis-server": "redis",
        "postgres": "postgres",
    }
    return next((name for part, name in names.items() if part in text), "other")

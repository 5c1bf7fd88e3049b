"""A stack of the bench's own: free ports, its own working folder, gone afterwards."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODEL, DEMO = "bench", "demo"
PORTS = (
    "CONTROL_PORT",
    "GATEWAY_PORT",
    "GATEWAY_GRPC_PORT",
    "GATEWAY_METRICS_PORT",
    "TRITON_HTTP_PORT",
    "TRITON_GRPC_PORT",
    "TRITON_METRICS_PORT",
)


@dataclass(frozen=True, slots=True)
class BenchStack:
    """Where the running stack can be reached."""

    pid: int
    var: Path
    host: str
    port: int
    triton_grpc: str
    triton_metrics: str
    api_key: str
    model: str

    def pid_of(self, part: str) -> int:
        """Of the process that a part has now; 0 while it has none."""
        return next(p["pid"] for p in _state(self.var)["parts"] if p["name"] == part) or 0


def _state(var: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((var / "run" / "stack.json").read_text())
    return state


@contextmanager
def bench_stack(model: Path | None, folder: Path, **variables: str) -> Iterator[BenchStack]:
    """`conch up` on `model`, or on the demo, with `variables` set; `conch down` at the end."""
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    var = folder / "stack"
    environment = {
        **os.environ,
        **{name: str(port) for name, port in ports.items()},
        "CONCH_VAR": str(var),
        "GATEWAY_LOG_LEVEL": "warning",
        **variables,
    }
    command = ["conch", "up", "--detach"]
    if model is not None:
        command += ["--model", str(model), "--name", MODEL]
    subprocess.run(command, env=environment, check=True)
    try:
        yield BenchStack(
            pid=_state(var)["pid"],
            var=var,
            host="127.0.0.1",
            port=ports["GATEWAY_PORT"],
            triton_grpc=f"127.0.0.1:{ports['TRITON_GRPC_PORT']}",
            triton_metrics=f"127.0.0.1:{ports['TRITON_METRICS_PORT']}",
            api_key=(var / "secrets" / "api_key").read_text().strip(),
            model=MODEL if model is not None else DEMO,
        )
    finally:
        subprocess.run(["conch", "down"], env=environment, check=True)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(s.getsockname()[1]) for s in sockets]
    for listener in sockets:
        listener.close()
    return ports

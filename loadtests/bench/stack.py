"""A stack of the bench's own: free ports, its own working folder, gone afterwards."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MODEL = "bench"
PORTS = (
    "GATEWAY_PORT",
    "GATEWAY_METRICS_PORT",
    "TRITON_HTTP_PORT",
    "TRITON_GRPC_PORT",
    "TRITON_METRICS_PORT",
)


@dataclass(frozen=True, slots=True)
class BenchStack:
    """Where the running stack can be reached."""

    pid: int
    host: str
    port: int
    triton_grpc: str
    api_key: str
    model: str


@contextmanager
def bench_stack(model: Path, folder: Path) -> Iterator[BenchStack]:
    """`conch up` on `model`; `conch down` at the end."""
    ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
    var = folder / "stack"
    environment = {
        **os.environ,
        **{name: str(port) for name, port in ports.items()},
        "CONCH_VAR": str(var),
        "GATEWAY_LOG_LEVEL": "warning",
    }
    command = ["conch", "up", "--detach", "--model", str(model), "--name", MODEL]
    subprocess.run(command, env=environment, check=True)
    try:
        yield BenchStack(
            pid=json.loads((var / "run" / "stack.json").read_text())["pid"],
            host="127.0.0.1",
            port=ports["GATEWAY_PORT"],
            triton_grpc=f"127.0.0.1:{ports['TRITON_GRPC_PORT']}",
            api_key=(var / "secrets" / "api_key").read_text().strip(),
            model=MODEL,
        )
    finally:
        subprocess.run(["conch", "down"], env=environment, check=True)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(s.getsockname()[1]) for s in sockets]
    for listener in sockets:
        listener.close()
    return ports

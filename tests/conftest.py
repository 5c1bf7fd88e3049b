"""The real stack for tests: started once a run, through the command that people use."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ports import free_ports

from serving.stack.layout import Layout
from serving.stack.postgres_home import remove_home

pytest_plugins = ["stores"]

ROOT = Path(__file__).parents[1]
CONCH = Path(sys.executable).with_name("conch")
SHARED = Path("/dev/shm")
WORKERS = 2
UP_TIMEOUT_S = 180.0
DOWN_TIMEOUT_S = 20.0


@dataclass
class Stack:
    """A stack in a var folder of its own, whether it is running now or not."""

    var: Path
    variables: dict[str, str]
    base_url: str
    triton_grpc: str
    triton_http: str
    triton_metrics_url: str
    gateway_metrics_url: str
    control_url: str
    model: str = "demo"
    printed: str = ""
    shm_prefixes: list[str] = field(default_factory=list)

    @property
    def api_key(self) -> str:
        return (self.var / "secrets" / "api_key").read_text().strip()

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}

    def conch(
        self, *arguments: str, timeout_s: float = UP_TIMEOUT_S, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs `conch` for this stack; `more` are further environment variables."""
        return subprocess.run(
            [CONCH, *arguments],
            cwd=ROOT,
            env=os.environ | self.variables | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def up(self, **more: str) -> None:
        """Starts it in the background; `printed` is what that said."""
        done = self.conch("up", "--detach", **more)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        self.printed = done.stdout
        self.shm_prefixes.append(self.state()["shm_prefix"])

    def down(self) -> None:
        done = self.conch("down", timeout_s=DOWN_TIMEOUT_S)
        assert done.returncode == 0, done.stderr

    def state(self) -> dict[str, Any]:
        return json.loads((self.var / "run" / "stack.json").read_text())

    def pid_of(self, part: str) -> int:
        return self._part(part)["pid"]

    def restarts_of(self, part: str) -> int:
        return self._part(part)["restarts"]

    def _part(self, name: str) -> dict[str, Any]:
        return next(part for part in self.state()["parts"] if part["name"] == name)

    def shared_memory(self) -> list[Path]:
        return [region for prefix in self.shm_prefixes for region in SHARED.glob(f"{prefix}*")]

    def processes(self) -> list[str]:
        """Command lines of all that descends from this stack, wherever it has gone."""
        mark = f"CONCH_VAR={self.var}".encode()
        data = (self.var / "postgres").resolve()
        return [
            line for entry in Path("/proc").glob("[0-9]*") if (line := _line(entry, mark, data))
        ]


def _line(process: Path, mark: bytes, data: Path) -> str:
    try:
        environment = (process / "environ").read_bytes().split(b"\0")
        # PostgreSQL writes its titles over the environment of its processes.
        if mark in environment or (process / "cwd").readlink().is_relative_to(data):
            return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        pass
    return ""


def new_stack(var: Path, **variables: str) -> Stack:
    http, grpc, metrics, gateway, front, control, *gateway_metrics = free_ports(6 + WORKERS)
    ports = {
        "TRITON_HTTP_PORT": http,
        "TRITON_GRPC_PORT": grpc,
        "TRITON_METRICS_PORT": metrics,
        "GATEWAY_PORT": gateway,
        "GATEWAY_GRPC_PORT": front,
        "CONTROL_PORT": control,
        "GATEWAY_METRICS_PORT": gateway_metrics[0],
    }
    return Stack(
        var=var,
        variables={
            "CONCH_VAR": str(var),
            **{name: str(port) for name, port in ports.items()},
            **variables,
        },
        base_url=f"http://127.0.0.1:{gateway}/v1",
        triton_grpc=f"127.0.0.1:{grpc}",
        triton_http=f"http://127.0.0.1:{http}",
        triton_metrics_url=f"http://127.0.0.1:{metrics}/metrics",
        control_url=f"http://127.0.0.1:{control}",
        gateway_metrics_url=f"http://127.0.0.1:{gateway_metrics[0]}/metrics",
    )


@contextmanager
def _ended(stack: Stack) -> Iterator[Stack]:
    """Stops the stack at the end of the block and proves that nothing of it is left."""
    try:
        yield stack
    finally:
        stack.down()
        remove_home(Layout(stack.var))
    assert stack.processes() == []
    assert stack.shared_memory() == []
    assert not (stack.var / "run" / "stack.json").exists()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack that all tests share; they must leave it running."""
    with _ended(new_stack(tmp_path_factory.mktemp("stack"))) as stack:
        stack.up()
        yield stack


@pytest.fixture(scope="session")
def make_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Stack]]:
    """Makes stacks with ports and folders of their own, not started, stopped at the end."""
    with ExitStack() as made:

        def make(**variables: str) -> Stack:
            stack = new_stack(tmp_path_factory.mktemp("stack"), **variables)
            return made.enter_context(_ended(stack))

        yield make

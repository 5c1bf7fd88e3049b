"""A Triton with nothing around it, on models of the bench's own: free ports, gone afterwards."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from loadtests.bench.stack import free_ports
from serving.stack import wheel
from serving.stack.environment import environment
from serving.stack.reaper import remove_shared_memory
from serving.stack.settings import TritonSettings
from serving.stack.triton import command

START_S = 60.0
PROBE_S = 0.1
PREFIX = "conch_bench_"


@dataclass(frozen=True, slots=True)
class BareTriton:
    """Where it can be reached."""

    pid: int
    grpc: str
    metrics_url: str


@contextmanager
def bare_triton(repository: Path, models: Sequence[str]) -> Iterator[BareTriton]:
    """Serves `models` of `repository`, all of them loaded."""
    http, grpc, metrics = free_ports(3)
    settings = TritonSettings(http_port=http, grpc_port=grpc, metrics_port=metrics)
    prefix = f"{PREFIX}{http}_"
    with TemporaryDirectory() as folder:
        backends = Path(folder) / "backends"
        wheel.prepare_backends(backends)
        line = command(settings, repositories=[repository], backends=backends, shm_prefix=prefix)
        log = (Path(folder) / "log").open("wb")
        process = subprocess.Popen(
            line, env=wheel.environment(environment({}, secrets=())), stdout=log, stderr=log
        )
        try:
            _load(f"http://127.0.0.1:{http}", models)
            yield BareTriton(
                process.pid, f"127.0.0.1:{grpc}", f"http://127.0.0.1:{metrics}/metrics"
            )
        finally:
            process.terminate()
            process.wait()
            log.close()
            remove_shared_memory(prefix)


def _load(url: str, models: Sequence[str]) -> None:
    with httpx.Client(base_url=url, trust_env=False, timeout=START_S) as client:
        _await_live(client)
        for model in models:
            client.post(f"/v2/repository/models/{model}/load").raise_for_status()


def _await_live(client: httpx.Client) -> None:
    until_s = time.monotonic() + START_S
    while True:
        try:
            client.get("/v2/health/live").raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > until_s:
                raise
            time.sleep(PROBE_S)
        else:
            return

"""Triton as a part of the stack: its command line, its health, and the models it must have."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import httpx

from serving.contract.addresses import OWN_ADAPTERS, OWN_GRPC
from serving.stack import deployed, reaper, repository, wheel
from serving.stack.environment import environment
from serving.stack.inputs import GRANT_KEY
from serving.stack.layout import Layout
from serving.stack.part import Part
from serving.stack.probe import answers, reachable
from serving.stack.settings import StackSettings, TritonSettings

SHARE_OF_STOP = 0.4  # the rest is the gateway's, which stops first, and the stores'

SECRETS = {GRANT_KEY}  # it checks what gateways sign, and knows nothing else of them


def triton_part(
    stack: StackSettings,
    triton: TritonSettings,
    trust: Mapping[str, str],
    *,
    repositories: Sequence[Path],
    backends: Path,
    shm_prefix: str,
    on_load: Callable[[str], None],
) -> Part:
    """The embedded Triton; after every start it loads its models anew."""
    ask = partial(
        answers, reachable(triton.host), triton.http_port, timeout_s=stack.health_timeout_s
    )
    line = command(triton, repositories=repositories, backends=backends, shm_prefix=shm_prefix)
    return Part(
        name="triton",
        command=tuple(line),
        environment=wheel.environment(environment(trust, secrets=SECRETS))
        | {
            OWN_GRPC: f"{reachable(triton.host)}:{triton.grpc_port}",
            OWN_ADAPTERS: str(Layout(stack.var).adapters.resolve()),
        },
        ports={"http": triton.http_port, "grpc": triton.grpc_port, "metrics": triton.metrics_port},
        stop_s=stack.stop_s * SHARE_OF_STOP,
        is_alive=partial(ask, "/v2/health/live"),
        is_ready=partial(_is_ready, partial(ask, f"/v2/models/{stack.served_name}/ready")),
        warm_up=partial(_load_models, stack, triton, on_load),
        after_end=partial(reaper.remove_shared_memory, shm_prefix),
    )


def http_client(triton: TritonSettings) -> httpx.AsyncClient:
    """A client of the HTTP API of the embedded Triton."""
    base_url = f"http://{reachable(triton.host)}:{triton.http_port}"
    return httpx.AsyncClient(base_url=base_url, trust_env=False, timeout=10)


async def _is_ready(ask: Callable[[], Awaitable[bool]], pid: int) -> bool:
    """Whether the served model is ready. The server's own readiness ends while any model loads.

    Triton keeps calling a model ready when its stub was killed; the stub is then a dead child that
    nobody has collected.
    """
    return not reaper.has_dead_child(pid) and await ask()


async def _load_models(
    stack: StackSettings, triton: TritonSettings, on_load: Callable[[str], None]
) -> None:
    async with http_client(triton) as client:
        await repository.load(
            client,
            base=stack.served_name,
            is_alone=stack.model_path is not None,
            timeout_s=stack.start_timeout_s,
            on_load=on_load,
        )
        await deployed.check(client, stack.served_name)


def command(
    settings: TritonSettings, *, repositories: Sequence[Path], backends: Path, shm_prefix: str
) -> list[str]:
    """The command line of a Triton that holds no model yet and listens where its settings say."""
    return [
        str(wheel.server_folder() / "bin" / "tritonserver"),
        *(f"--model-repository={folder.resolve()}" for folder in repositories),
        "--model-control-mode=explicit",
        # Completing a configuration starts each Python model once more; ours are whole.
        "--disable-auto-complete-config",
        f"--backend-directory={backends.resolve()}",
        *_python_backend(settings, shm_prefix),
        *_listeners(settings),
        "--metrics-config=histogram_latencies=true",
        "--allow-gpu-metrics=false",
        f"--exit-timeout-secs={settings.exit_timeout_s}",
        f"--log-verbose={settings.log_verbose}",
    ]


def _python_backend(settings: TritonSettings, shm_prefix: str) -> list[str]:
    options = {
        "shm-region-prefix-name": shm_prefix,
        "shm-default-byte-size": settings.shm_bytes,
        "shm-growth-byte-size": settings.shm_bytes,
        "stub-timeout-seconds": settings.stub_timeout_s,
    }
    return [f"--backend-config=python,{name}={value}" for name, value in options.items()]


def _listeners(settings: TritonSettings) -> list[str]:
    ports = {
        "http": settings.http_port,
        "grpc": settings.grpc_port,
        "metrics": settings.metrics_port,
    }
    return [
        flag
        for name, port in ports.items()
        for flag in (f"--{name}-address={settings.host}", f"--{name}-port={port}")
    ]

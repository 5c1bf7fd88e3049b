"""From settings to the parts of a stack: everything that is decided before anything is started."""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.settings import GatewaySettings
from serving.stack import api_key, wheel
from serving.stack.endpoint import Endpoint
from serving.stack.errors import StackError
from serving.stack.gateway import gateway_parts
from serving.stack.host import check_port
from serving.stack.layout import Layout
from serving.stack.part import Part
from serving.stack.probe import reachable
from serving.stack.settings import (
    StackSettings,
    TritonSettings,
    WorkerSettings,
    load,
    variable,
)
from serving.stack.triton import triton_part


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of every part, as the environment has them."""

    stack: StackSettings
    triton: TritonSettings
    workers: int
    gateway: GatewaySettings


@dataclass(frozen=True, slots=True)
class Plan:
    """A stack to run: of its `tiers` the last is stopped first."""

    settings: StackSettings
    layout: Layout
    endpoint: Endpoint
    tiers: tuple[tuple[Part, ...], ...]
    triton_http: str | None
    shm_prefix: str


def read_settings(layout: Layout, stack: StackSettings) -> Settings:
    """Loads the rest of the settings; the gateway's key is made when the operator gave none."""
    given: dict[str, Path] = {}
    if not (os.environ.get("GATEWAY_API_KEY") or os.environ.get("GATEWAY_API_KEY_FILE")):
        api_key.ensure(layout.api_key_file)
        given["api_key_file"] = layout.api_key_file.resolve()
    workers = load(WorkerSettings).workers
    return Settings(stack, load(TritonSettings), workers, load(GatewaySettings, **given))


def plan(settings: Settings, layout: Layout, *, on_load: Callable[[str], None]) -> Plan:
    """Checks what can be checked, lays out files and composes the parts."""
    check_ports(settings)
    shm_prefix = f"conch_{secrets.token_hex(4)}_"
    tiers: list[tuple[Part, ...]] = []
    if settings.triton.url is None:
        part = embedded_triton(settings.stack, settings.triton, layout, shm_prefix, on_load=on_load)
        tiers.append((part,))
    tiers.append(_gateway(settings))
    return Plan(
        settings=settings.stack,
        layout=layout,
        endpoint=_endpoint(settings),
        tiers=tuple(tiers),
        triton_http=_triton_http(settings.triton),
        shm_prefix=shm_prefix,
    )


def check_ports(settings: Settings) -> None:
    """Raises StackError for the first port that is taken, or given as 0."""
    triton, gateway = settings.triton, settings.gateway
    wanted = [(gateway.host, gateway.port, variable(GatewaySettings, "port"))]
    for number in range(settings.workers):
        port = gateway.metrics_port and gateway.metrics_port + number
        wanted.append((gateway.host, port, variable(GatewaySettings, "metrics_port")))
    for host, port, name in wanted:
        check_port(host, port, name)
    if triton.url is None:
        check_triton_ports(triton)


def check_triton_ports(triton: TritonSettings) -> None:
    """Raises StackError for the first port of the embedded Triton that is taken."""
    for field in ("http_port", "grpc_port", "metrics_port"):
        check_port(triton.host, getattr(triton, field), variable(TritonSettings, field))


def embedded_triton(
    stack: StackSettings,
    triton: TritonSettings,
    layout: Layout,
    shm_prefix: str,
    *,
    on_load: Callable[[str], None],
) -> Part:
    """The Triton of the wheel on the models of the repository and of the var folder."""
    repository = stack.model_repository
    if not repository.is_dir():
        raise StackError(f"CONCH_MODEL_REPOSITORY={repository}: there is no such folder")
    wheel.prepare_backends(layout.backends)
    return triton_part(
        stack,
        triton,
        repositories=_repositories(stack, layout),
        backends=layout.backends,
        shm_prefix=shm_prefix,
        on_load=on_load,
    )


def _repositories(stack: StackSettings, layout: Layout) -> list[Path]:
    """What git has, what was published, and what this start was given; all of them read-only."""
    given = [] if stack.model_path is None else [layout.given_models]
    published = [layout.models] if layout.models.is_dir() else []
    return [stack.model_repository, *published, *given]


def _gateway(settings: Settings) -> tuple[Part, ...]:
    triton_url = (
        settings.triton.url or f"{reachable(settings.triton.host)}:{settings.triton.grpc_port}"
    )
    return gateway_parts(
        settings.stack, settings.gateway, workers=settings.workers, triton_url=triton_url
    )


def _endpoint(settings: Settings) -> Endpoint:
    host = reachable(settings.gateway.host)
    shown = f"[{host}]" if ":" in host else host
    return Endpoint(
        base_url=f"http://{shown}:{settings.gateway.port}/v1",
        api_key=settings.gateway.key(),
        model=settings.stack.served_name,
    )


def _triton_http(triton: TritonSettings) -> str | None:
    return None if triton.url else f"http://{reachable(triton.host)}:{triton.http_port}"

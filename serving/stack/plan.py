"""From settings to the parts of a stack: everything that is decided before anything is started."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.policy_file import NAME as POLICY
from serving.stack import wheel
from serving.stack.control import control_part
from serving.stack.endpoint import Endpoint
from serving.stack.errors import StackError
from serving.stack.gateway import gateway_parts
from serving.stack.inputs import Inputs
from serving.stack.layout import Layout
from serving.stack.listeners import check_ports
from serving.stack.part import Part
from serving.stack.probe import origin, reachable
from serving.stack.settings import StackSettings, TritonSettings
from serving.stack.stores import database_store, redis_store
from serving.stack.triton import triton_part

OnLoad = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """A stack to run: of its `tiers` the last is stopped first."""

    settings: StackSettings
    layout: Layout
    endpoint: Endpoint
    tiers: tuple[tuple[Part, ...], ...]
    triton_http: str | None
    shm_prefix: str


def plan(inputs: Inputs, layout: Layout, *, on_load: OnLoad) -> Plan:
    """Checks what can be checked, lays out files and composes the parts."""
    check_ports(inputs)
    shm_prefix = f"conch_{secrets.token_hex(4)}_"
    # With a policy on disk gateways serve without the control plane and its database.
    is_vital = not (layout.gateway / POLICY).exists()
    redis = redis_store(inputs.stack, inputs.redis, layout)
    database = database_store(inputs.stack, inputs.database, layout, is_vital=is_vital)
    control = control_part(inputs, redis.variables, database.variables, is_vital=is_vital)
    triton = _triton(inputs, layout, shm_prefix, on_load)
    gateways = gateway_parts(inputs, layout, redis.variables, triton_url=_triton_url(inputs.triton))
    return Plan(
        settings=inputs.stack,
        layout=layout,
        endpoint=_endpoint(inputs),
        tiers=((*redis.parts, *database.parts), (control, *triton), gateways),
        triton_http=_triton_http(inputs.triton),
        shm_prefix=shm_prefix,
    )


def _triton(inputs: Inputs, layout: Layout, prefix: str, on_load: OnLoad) -> tuple[Part, ...]:
    if inputs.triton.url is not None:
        return ()
    stack, triton, trust = inputs.stack, inputs.triton, inputs.trust
    return (embedded_triton(stack, triton, layout, prefix, trust=trust, on_load=on_load),)


def embedded_triton(
    stack: StackSettings,
    triton: TritonSettings,
    layout: Layout,
    shm_prefix: str,
    *,
    trust: Mapping[str, str],
    on_load: OnLoad,
) -> Part:
    """The Triton of the wheel on the models of the repository and of the var folder."""
    repository = stack.model_repository
    if not repository.is_dir():
        raise StackError(f"CONCH_MODEL_REPOSITORY={repository}: there is no such folder")
    wheel.prepare_backends(layout.backends)
    return triton_part(
        stack,
        triton,
        trust,
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


def _triton_url(triton: TritonSettings) -> str:
    return triton.url or f"{reachable(triton.host)}:{triton.grpc_port}"


def _endpoint(inputs: Inputs) -> Endpoint:
    gateway, control = inputs.gateway, inputs.control
    return Endpoint(
        base_url=f"{origin(gateway.host, gateway.port)}/v1",
        api_key=inputs.api_key,
        model=inputs.stack.served_name,
        control_url=origin(control.host, control.port),
    )


def _triton_http(triton: TritonSettings) -> str | None:
    return None if triton.url else origin(triton.host, triton.http_port)

"""The gateway workers as parts of the stack: processes that share one port."""

import sys
from collections.abc import Mapping
from functools import partial

from gateway.settings import GatewaySettings
from serving.settings.stores import RedisSettings
from serving.settings.table import secrets_of
from serving.settings.trust import TrustSettings
from serving.stack.environment import environment
from serving.stack.inputs import DEFAULT_KEY, Inputs
from serving.stack.layout import Layout
from serving.stack.part import Part
from serving.stack.probe import answers, reachable

SHARE_OF_STOP = 0.4  # of the time in which the stack stops
SECRETS = secrets_of(GatewaySettings, RedisSettings, TrustSettings)


def gateway_parts(
    inputs: Inputs, layout: Layout, redis: Mapping[str, str], *, triton_url: str
) -> tuple[Part, ...]:
    """One part a worker."""
    given = {
        **redis,
        **inputs.trust,
        "GATEWAY_API_KEY_FILE": inputs.keys[DEFAULT_KEY],
        "GATEWAY_TRITON_URL": triton_url,
        "GATEWAY_STATE_DIR": str(layout.gateway.resolve()),
    }
    return tuple(_worker(inputs, number, given) for number in range(inputs.workers))


def _worker(inputs: Inputs, number: int, given: Mapping[str, str]) -> Part:
    stack, gateway = inputs.stack, inputs.gateway
    metrics_port = gateway.metrics_port + number
    own = {"GATEWAY_METRICS_PORT": str(metrics_port)}
    # The workers share the API port, so only the metrics port asks this very event loop.
    ask = partial(
        answers, reachable(gateway.host), metrics_port, "/metrics", timeout_s=stack.health_timeout_s
    )
    return Part(
        name="gateway" if number == 0 else f"gateway-{number}",
        command=(sys.executable, "-m", "gateway"),
        environment=environment({**given, **own}, secrets=SECRETS),
        ports={"http": gateway.port, "grpc": gateway.grpc_port, "metrics": metrics_port},
        stop_s=stack.stop_s * SHARE_OF_STOP,
        is_alive=ask,
        is_ready=lambda _pid: ask(),
    )

"""The gateway workers as parts of the stack: processes that share one port."""

import os
import sys
from functools import partial

from gateway.settings import GatewaySettings
from serving.stack.part import Part
from serving.stack.probe import answers, reachable
from serving.stack.settings import StackSettings

SHARE_OF_STOP = 0.5  # of the time in which the stack stops


def gateway_parts(
    stack: StackSettings, gateway: GatewaySettings, *, workers: int, triton_url: str
) -> tuple[Part, ...]:
    """One part a worker."""
    given = {"GATEWAY_TRITON_URL": triton_url}
    if gateway.api_key_file is not None:
        given["GATEWAY_API_KEY_FILE"] = str(gateway.api_key_file)
    return tuple(_worker(stack, gateway, number, given) for number in range(workers))


def _worker(
    stack: StackSettings, gateway: GatewaySettings, number: int, given: dict[str, str]
) -> Part:
    metrics_port = gateway.metrics_port + number
    # The workers share the API port, so only the metrics port asks this very event loop.
    ask = partial(
        answers, reachable(gateway.host), metrics_port, "/metrics", timeout_s=stack.health_timeout_s
    )
    return Part(
        name="gateway" if number == 0 else f"gateway-{number}",
        command=(sys.executable, "-m", "gateway"),
        environment={**os.environ, **given, "GATEWAY_METRICS_PORT": str(metrics_port)},
        ports={"http": gateway.port, "metrics": metrics_port},
        stop_s=stack.stop_s * SHARE_OF_STOP,
        is_alive=ask,
        is_ready=lambda _pid: ask(),
    )

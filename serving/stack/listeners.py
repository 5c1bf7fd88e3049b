"""The ports of a stack, asked for before anything is started."""

from collections.abc import Iterator

from control_plane.settings import ControlSettings
from gateway.settings import GatewaySettings
from serving.settings.base import variable
from serving.stack.host import check_port
from serving.stack.inputs import Inputs
from serving.stack.settings import TritonSettings

Wanted = tuple[str, int, str]  # host, port, and the variable that chooses another


def check_ports(inputs: Inputs) -> None:
    """Raises StackError for the first port that is taken, or given as 0."""
    control = inputs.control
    wanted = [(control.host, control.port, variable(ControlSettings, "port"))]
    for host, port, name in [*_of_gateway(inputs), *wanted]:
        check_port(host, port, name)
    if inputs.triton.url is None:
        check_triton_ports(inputs.triton)


def check_triton_ports(triton: TritonSettings) -> None:
    """Raises StackError for the first port of the embedded Triton that is taken."""
    for field in ("http_port", "grpc_port", "metrics_port"):
        check_port(triton.host, getattr(triton, field), variable(TritonSettings, field))


def _of_gateway(inputs: Inputs) -> Iterator[Wanted]:
    gateway = inputs.gateway
    for field in ("port", "grpc_port"):
        yield gateway.host, getattr(gateway, field), variable(GatewaySettings, field)
    for number in range(inputs.workers):
        port = gateway.metrics_port and gateway.metrics_port + number
        yield gateway.host, port, variable(GatewaySettings, "metrics_port")

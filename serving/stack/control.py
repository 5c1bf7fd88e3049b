"""The control plane as a part of the stack."""

import sys
from collections.abc import Mapping
from functools import partial

from control_plane.login.settings import LoginSettings
from control_plane.settings import ControlSettings
from serving.settings.stores import DatabaseSettings, RedisSettings
from serving.settings.table import secrets_of
from serving.settings.trust import TrustSettings
from serving.stack.environment import environment
from serving.stack.inputs import Inputs
from serving.stack.part import Part
from serving.stack.probe import answers, reachable

NAME = "control-plane"
SHARE_OF_STOP = 0.4  # of the time in which the stack stops
SECRETS = secrets_of(ControlSettings, LoginSettings, DatabaseSettings, RedisSettings, TrustSettings)


def control_part(
    inputs: Inputs, redis: Mapping[str, str], database: Mapping[str, str], *, is_vital: bool
) -> Part:
    """It has come up when it is ready; afterwards it lives on while its stores are away."""
    stack, control = inputs.stack, inputs.control
    ask = partial(answers, reachable(control.host), control.port, timeout_s=stack.health_timeout_s)
    given = {**redis, **database, **inputs.trust, **inputs.keys}
    return Part(
        name=NAME,
        command=(sys.executable, "-m", "control_plane"),
        environment=environment(given, secrets=SECRETS),
        ports={"http": control.port},
        stop_s=stack.stop_s * SHARE_OF_STOP,
        is_vital=is_vital,
        is_alive=partial(ask, "/health/ready"),
        is_ready=lambda _pid: ask("/health/live"),
    )

"""All Settings classes that there are, and so all variables."""

import os

from control_plane.login.settings import LoginSettings
from control_plane.policy.initial import InitialSettings
from control_plane.settings import ControlSettings
from control_plane.usage.settings import UsageSettings
from gateway.settings import GatewaySettings
from serving.settings.base import Settings
from serving.settings.stores import DatabaseSettings, RedisSettings
from serving.settings.table import variables
from serving.settings.trust import TrustSettings
from serving.settings.unknown import unknown
from serving.stack.settings import StackSettings, TritonSettings, WorkerSettings

SETTINGS: dict[str, tuple[type[Settings], ...]] = {
    "the stack": (StackSettings,),
    "Triton": (TritonSettings,),
    "the gateway": (WorkerSettings, GatewaySettings),
    "the control plane": (ControlSettings, InitialSettings, LoginSettings, UsageSettings),
    "PostgreSQL": (DatabaseSettings,),
    "Redis": (RedisSettings,),
    "secrets that services share": (TrustSettings,),
}

# Of commands, containers and tests; `.env` may have them too.
ELSEWHERE = {
    *("CONCH_ADMIN_KEY", "CONCH_ADMIN_KEY_FILE", "CONCH_CONTROL_URL", "CONCH_MODEL"),
    *("CONCH_ENGINES", "CONCH_GID", "CONCH_PUBLISH", "CONCH_SECRETS", "CONCH_TAG"),
    *("CONCH_LOAD_ALLOW_REMOTE", "CONCH_LOAD_MAX_TOKENS", "CONCH_LOAD_MAX_USERS"),
    *("CONCH_LOAD_TIMEOUT_S", "CONCH_TEST_SCALE", "CONCH_TRITON_GRPC", "TRITON_TAG"),
}


def all_settings() -> tuple[type[Settings], ...]:
    return tuple(settings for group in SETTINGS.values() for settings in group)


def known_variables() -> set[str]:
    return {row.name for settings in all_settings() for row in variables(settings)}


def unknown_variables() -> list[str]:
    """A line for each variable of the environment that looks like one of ours and is none."""
    return list(unknown(os.environ, known_variables() | ELSEWHERE))

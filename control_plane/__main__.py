"""`python -m control_plane`: the API and the workers, in one event loop."""

import socket
import sys

import uvloop

from control_plane.app import at_work, build, open_plane
from control_plane.login.settings import LoginSettings
from control_plane.plane import ControlPlane
from control_plane.policy.initial import InitialSettings
from control_plane.settings import ControlSettings
from control_plane.usage.settings import UsageSettings
from serving.contract.errors import Unavailable
from serving.settings.base import BadSettings, load
from serving.settings.stores import DatabaseSettings, RedisSettings
from serving.settings.trust import TrustSettings
from serving.web.logs import set_up_logs
from serving.web.server import CountedConnection, CountingConfig, Server

GRACE_S = 1


async def serve(settings: ControlSettings) -> None:
    """Until SIGINT or SIGTERM; raises BadSettings or Unavailable when it cannot start."""
    given = load(TrustSettings), load(DatabaseSettings), load(RedisSettings), load(LoginSettings)
    usage, initial = load(UsageSettings), load(InitialSettings).document()
    with _listen(settings) as listener:
        async with open_plane(settings, *given, initial) as plane, at_work(plane, usage):
            await Server(_config(plane)).serve([listener])


def _config(plane: ControlPlane) -> CountingConfig:
    config = CountingConfig(
        build(plane),
        http=CountedConnection,
        ws="none",
        # CONTROL_TRUSTED_PROXIES says who is believed; uvicorn believes all of this machine.
        proxy_headers=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    config.connections = plane.load
    return config


def _listen(settings: ControlSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        where = f"CONTROL_HOST={settings.host}, CONTROL_PORT={settings.port}"
        raise BadSettings(f"{where}: {error.strerror}") from error


def main() -> int:
    """Exit status 2 for a setting that cannot be used, 1 when PostgreSQL is away."""
    try:
        settings = load(ControlSettings)
        set_up_logs(level=settings.log_level, log_format=settings.log_format)
        uvloop.run(serve(settings))
    except (BadSettings, Unavailable) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2 if isinstance(error, BadSettings) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

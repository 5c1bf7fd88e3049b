"""What a plan is made from: the settings of every part, and the secrets of the stack."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from control_plane.settings import ControlSettings
from gateway.settings import GatewaySettings
from serving.settings.base import load
from serving.settings.secret_files import first_line, read_secret
from serving.settings.stores import DatabaseSettings, RedisSettings
from serving.settings.trust import TrustSettings
from serving.stack import keyring
from serving.stack.errors import StackError
from serving.stack.layout import Layout
from serving.stack.settings import StackSettings, TritonSettings, WorkerSettings

GRANT_KEY = "CONCH_GRANT_KEY"
TRUST = {"CONCH_KEY_PEPPER": "key_pepper", GRANT_KEY: "grant_key"}
ADMIN_KEY, DEFAULT_KEY = "CONTROL_ADMIN_KEY_FILE", "CONTROL_DEFAULT_KEY_FILE"


@dataclass(frozen=True, slots=True)
class Inputs:
    """`trust` and `keys` are variables that say where secrets are."""

    stack: StackSettings
    triton: TritonSettings
    workers: int
    gateway: GatewaySettings
    control: ControlSettings
    redis: RedisSettings
    database: DatabaseSettings
    trust: Mapping[str, str]
    keys: Mapping[str, str]
    api_key: str = field(repr=False)


def read_inputs(layout: Layout, stack: StackSettings) -> Inputs:
    """Loads the rest of the settings; secrets are made where the operator gave none."""
    control, triton = load(ControlSettings), load(TritonSettings)
    admin_key = control.admin_key_file or _made_key(layout.admin_key_file)
    api_key = control.default_key_file or _made_key(layout.api_key_file)
    key = first_line(api_key, f"{DEFAULT_KEY}={api_key}")
    gateway = load(GatewaySettings, api_key=key)
    if triton.url is not None and gateway.governed:
        _needs_grant_key(triton.url)
    return Inputs(
        stack=stack,
        triton=triton,
        workers=load(WorkerSettings).workers,
        gateway=gateway,
        control=control,
        redis=load(RedisSettings),
        database=load(DatabaseSettings),
        trust=_trust(layout),
        keys={ADMIN_KEY: str(admin_key), DEFAULT_KEY: str(api_key)},
        api_key=key,
    )


def _needs_grant_key(triton_url: str) -> None:
    if not read_secret(GRANT_KEY):
        raise StackError(
            f"TRITON_URL={triton_url}: set {GRANT_KEY}_FILE to the key that this Triton has; "
            "it refuses what was signed with another one"
        )


def _made_key(path: Path) -> Path:
    keyring.ensure(path, keyring.new_api_key)
    return path.resolve()


def _trust(layout: Layout) -> dict[str, str]:
    """Where those secrets are that the operator did not give; BadSettings for bad ones of his."""
    wanted = {name: layout.secret(file) for name, file in TRUST.items() if not read_secret(name)}
    given = {name.removeprefix("CONCH_").lower(): keyring.ensure(wanted[name]) for name in wanted}
    load(TrustSettings, **given)
    return {f"{name}_FILE": str(path.resolve()) for name, path in wanted.items()}

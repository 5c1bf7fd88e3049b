"""What an operator can set about the stack and its Triton, and how a bad value is told."""

import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from serving.stack.errors import StackError

DEMO = "demo"
Port = Annotated[int, Field(ge=1, le=65535)]
ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Seconds = Annotated[float, Field(gt=0)]


class StackSettings(BaseSettings):
    """The supervisor. Relative paths are relative to the working directory."""

    model_config = SettingsConfigDict(env_prefix="CONCH_", env_ignore_empty=True)

    var: Path = Path("var")
    model_repository: Path = Path("model_repository")
    model_path: Path | None = None
    model_name: ModelName | None = None
    start_timeout_s: Seconds = 120.0
    stop_s: Seconds = 4.0
    health_interval_s: Seconds = 1.0
    health_timeout_s: Seconds = 3.0
    health_failures: Annotated[int, Field(ge=1)] = 3
    log_max_mb: Annotated[int, Field(ge=1)] = 16

    @property
    def served_name(self) -> str:
        """The base model that clients get by default: as named, or after the file it comes from."""
        if self.model_name is not None:
            return self.model_name
        return DEMO if self.model_path is None else name_after(self.model_path)


def name_after(path: Path) -> str:
    """A name that Triton and every shell take, out of the name of a model's folder or file."""
    return re.sub(r"[^a-z0-9]+", "-", path.resolve().stem.lower()).strip("-")[:63] or "model"


class TritonSettings(BaseSettings):
    """Triton. With `url` (host:port of its gRPC) a running one is used and none is started."""

    model_config = SettingsConfigDict(env_prefix="TRITON_", env_ignore_empty=True)

    url: Annotated[str, Field(pattern=r"^[^/\s]+:\d+$")] | None = None
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    http_port: Port = 8000
    grpc_port: Port = 8001
    metrics_port: Port = 8002
    shm_bytes: Annotated[int, Field(ge=1 << 20)] = 4 << 20
    stub_timeout_s: Annotated[int, Field(ge=1)] = 60
    exit_timeout_s: Annotated[int, Field(ge=0)] = 3
    log_verbose: Annotated[int, Field(ge=0)] = 0


class WorkerSettings(BaseSettings):
    """How many processes the gateway has; its other settings are its own (`gateway.settings`)."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", env_ignore_empty=True)

    workers: Annotated[int, Field(ge=1, le=64)] = 1


AnySettings = TypeVar("AnySettings", bound=BaseSettings)


def load(settings: type[AnySettings], **given: Any) -> AnySettings:
    """Settings of the environment, `given` first; StackError names the variable and its value."""
    try:
        return settings(**given)
    except ValidationError as error:
        raise StackError(_bad_value(settings, error)) from None
    except SettingsError as error:
        raise StackError(f"{settings.model_config.get('env_prefix', '')}*: {error}") from None


def variable(settings: type[BaseSettings], field: str) -> str:
    """The environment variable that sets `field`."""
    return f"{settings.model_config.get('env_prefix', '')}{field}".upper()


def _bad_value(settings: type[BaseSettings], error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    if not first["loc"]:
        return str(first["msg"]).removeprefix("Value error, ")
    field = str(first["loc"][0])
    shown = "(hidden)" if _is_secret(settings, field) else repr(_told(first["input"]))
    return f"{variable(settings, field)}={shown}: {first['msg'][:1].lower()}{first['msg'][1:]}"


def _is_secret(settings: type[BaseSettings], field: str) -> bool:
    info = settings.model_fields.get(field)
    return info is not None and SecretStr.__name__ in str(info.annotation)


def _told(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else str(value)

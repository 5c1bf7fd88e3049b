"""What an operator can set on the gateway, by GATEWAY_* variables."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class BadSettings(Exception):
    """A variable has a value that cannot be used; the message names both."""


class GatewaySettings(BaseSettings):
    """One process of the gateway. A port of 0 takes a free one."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", env_ignore_empty=True, frozen=True)

    host: str = "127.0.0.1"
    port: Port = 8080
    metrics_port: Port = 8081
    triton_url: str = Field("127.0.0.1:8001", min_length=1)
    triton_heartbeat_s: Seconds = 5.0
    connect_timeout_s: Seconds = 2.0
    api_key: SecretStr | None = None
    api_key_file: Path | None = None
    default_max_tokens: Count | None = None  # None: what the context has left
    max_body_bytes: Count = 4 * 1024 * 1024
    max_json_depth: Count = 64
    max_messages: Count = 2048
    max_prompts: Count = 128
    max_choices: Count = 16
    prompt_concurrency: Count = 16
    strict: bool = False
    body_timeout_s: Seconds = 30.0
    request_timeout_s: Seconds = 600.0
    stall_timeout_s: Seconds = 60.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    @model_validator(mode="after")
    def _needs_a_key(self) -> Self:
        if not self.key():
            raise ValueError("set GATEWAY_API_KEY or GATEWAY_API_KEY_FILE: no API key is given")
        return self

    def key(self) -> str:
        """The API key itself: the variable, or else the first line of the file."""
        if self.api_key is not None:
            return self.api_key.get_secret_value().strip()
        if self.api_key_file is not None:
            return _first_line(self.api_key_file)
        return ""


def _first_line(path: Path) -> str:
    try:
        return path.read_text().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"GATEWAY_API_KEY_FILE={path} cannot be read: {error}") from error


def load() -> GatewaySettings:
    """The settings of the environment; raises BadSettings with the variable and its value."""
    try:
        return GatewaySettings()
    except ValidationError as error:
        lines = (_line(dict(detail)) for detail in error.errors(include_url=False))
        raise BadSettings("; ".join(lines)) from None


def _line(detail: dict[str, object]) -> str:
    location = detail["loc"]
    if not isinstance(location, tuple) or not location:
        return str(detail["msg"]).removeprefix("Value error, ")
    name = str(location[0]).upper()
    value = "(hidden)" if name == "API_KEY" else f"{detail['input']!r}"
    return f"GATEWAY_{name.removeprefix('GATEWAY_')}={value}: {detail['msg']}"

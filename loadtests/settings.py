"""Where the load goes and how much of it there may be, from the environment."""

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class RefusedLoad(Exception):
    """The load test must not start as it was asked for; the message says what to change."""


class LoadSettings(BaseSettings):
    """The OPENAI_* variables are those of the official client, as `var/conch.env` has them."""

    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True)

    base_url: str = Field("http://127.0.0.1:8080/v1", validation_alias="OPENAI_BASE_URL")
    api_key: SecretStr = Field(validation_alias="OPENAI_API_KEY")
    model: str = Field("demo", validation_alias="CONCH_MODEL")
    max_tokens: Count = Field(48, validation_alias="CONCH_LOAD_MAX_TOKENS")
    max_users: Count = Field(256, validation_alias="CONCH_LOAD_MAX_USERS")
    timeout_s: Seconds = Field(60.0, validation_alias="CONCH_LOAD_TIMEOUT_S")
    allow_remote: bool = Field(False, validation_alias="CONCH_LOAD_ALLOW_REMOTE")


def load(host: str | None = None) -> LoadSettings:
    """The settings of the environment, with `host` (`--host`) as base URL where it is given.

    Raises RefusedLoad for a bad value, and for a host that is not this machine.
    """
    try:
        settings = LoadSettings()
    except ValidationError as error:
        raise RefusedLoad("; ".join(_lines(error))) from None
    if host:
        settings = settings.model_copy(update={"base_url": host})
    _check_host(settings)
    return settings


def _lines(error: ValidationError) -> list[str]:
    details = error.errors(include_url=False, include_input=False)
    return [f"{detail['loc'][0]}: {detail['msg'].lower()}" for detail in details]


def _check_host(settings: LoadSettings) -> None:
    host = urlsplit(settings.base_url).hostname
    if host is None:
        raise RefusedLoad(f"'{settings.base_url}' is no URL, such as http://127.0.0.1:8080/v1")
    if not (settings.allow_remote or is_loopback(host)):
        raise RefusedLoad(
            f"{host} is not this machine: load is sent to the loopback only, unless "
            "CONCH_LOAD_ALLOW_REMOTE=1 says that the other side expects it"
        )


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by its name alone; nothing is looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

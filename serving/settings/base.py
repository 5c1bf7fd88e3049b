"""The base of all Settings classes, and the one way to load them."""

from typing import Annotated, Any, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from serving.settings.secret_files import BadSettings, read_secret_file

__all__ = ["BadSettings", "Count", "Port", "Seconds", "SecretUrl", "Settings", "load", "variable"]

HIDDEN = "(hidden)"
CARRIES_SECRET = "carries a secret"  # noqa: S105 - a mark, not a secret

Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
SecretUrl = Annotated[str, Field(repr=False), CARRIES_SECRET]
"""A URL that may have a password in it: in no repr, and read from files like a secret."""


class Settings(BaseSettings):
    """Settings of one prefix. An empty variable is as good as none.

    What is secret (`SecretStr`, `SecretUrl`) is also read from the file that `<VARIABLE>_FILE`
    names, and else from a file of the variable's name in the folder CONCH_SECRETS_DIR.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - `conch` reads .env itself
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - knows no *_FILE
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, SecretFiles(settings_cls)


class SecretFiles(PydanticBaseSettingsSource):
    """The secrets that are in files; a secret that is given otherwise has its file left alone."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        is_wanted = is_secret(field) and field_name not in self.current_state
        text = read_secret_file(variable(self.settings_cls, field_name)) if is_wanted else None
        return text, field_name, False

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields.items()
        found = {name: self.get_field_value(field, name)[0] for name, field in fields}
        return {name: text for name, text in found.items() if text is not None}


AnySettings = TypeVar("AnySettings", bound=BaseSettings)


def load(settings: type[AnySettings], **given: Any) -> AnySettings:
    """Settings of the environment, `given` first; BadSettings names each variable and its value."""
    try:
        return settings(**given)
    except ValidationError as error:
        raise BadSettings(*(_line(settings, e) for e in error.errors(include_url=False))) from None
    except SettingsError as error:
        raise BadSettings(f"{variable(settings, '')}*: {error}") from None


def variable(settings: type[BaseSettings], field: str) -> str:
    """The environment variable that sets `field`."""
    return f"{settings.model_config.get('env_prefix', '')}{field}".upper()


def is_secret(field: FieldInfo) -> bool:
    """Whether its value is shown nowhere and may come from a file."""
    return is_url(field) or SecretStr.__name__ in str(field.annotation)


def is_url(field: FieldInfo) -> bool:
    """Whether it is a URL that may be shown once its password is taken out."""
    return CARRIES_SECRET in field.metadata


def _line(settings: type[BaseSettings], error: ErrorDetails) -> str:
    told = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return told
    name = str(error["loc"][0])
    if error["type"] == "missing":
        return _missing(settings, name)
    return f"{variable(settings, name)}={_shown(settings, name, error['input'])}: {_begun(told)}"


def _missing(settings: type[BaseSettings], name: str) -> str:
    needed = variable(settings, name)
    also = f" or {needed}_FILE" if is_secret(settings.model_fields[name]) else ""
    return f"{needed} is not set: set {needed}{also}"


def _shown(settings: type[BaseSettings], name: str, value: Any) -> str:
    field = settings.model_fields.get(name)
    if field is not None and is_secret(field):
        return HIDDEN
    return repr(value if isinstance(value, str | int | float) else str(value))


def _begun(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]

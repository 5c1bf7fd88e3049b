"""The two secrets that gateways and control plane share."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from serving.settings.base import Settings

SHORTEST = 32  # characters; `conch up` makes longer ones


class TrustSettings(Settings):
    """What API keys are hashed with, and what grants are signed with.

    Triton knows the grant key only, and reads it without this class.
    """

    model_config = SettingsConfigDict(env_prefix="CONCH_")

    key_pepper: SecretStr = Field(
        min_length=SHORTEST,
        description="Keys are stored hashed with it; when it changes, no key is good any more.",
    )
    grant_key: SecretStr = Field(
        min_length=SHORTEST,
        description="Signs what a request may do; gateways and Triton have the same.",
    )
    # Read by `secret_files` for every secret there is; here it is described.
    secrets_dir: Path | None = Field(
        None,
        description="Folder of mounted secrets: one file each, named after its variable.",
    )

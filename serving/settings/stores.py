"""Where Redis and PostgreSQL are, and how to speak to them. The clients are the adapters'."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, FilePath, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from serving.settings import redis_url
from serving.settings.base import Count, Seconds, SecretUrl, Settings
from serving.settings.redis_url import RedisAddress

_HOST = r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:/@?#,\s]*)(:\d{1,5})?"
_POSTGRESQL = re.compile(rf"postgres(ql)?://([^@/?#]*@)?{_HOST}(,{_HOST})*(/[^/?#]*)?(\?[^#]*)?")


def _redis(url: str) -> str:
    redis_url.parse(url)
    return url


def _postgresql(url: str) -> str:
    if _POSTGRESQL.fullmatch(url) is None:
        raise ValueError("a PostgreSQL URL is postgresql://user@host:port/database?option=value")
    return url


class RedisSettings(Settings):
    """Redis. Username and password may also stand in the URL; those of the variables win."""

    model_config = SettingsConfigDict(env_prefix="REDIS_")

    url: Annotated[SecretUrl, AfterValidator(_redis)] = Field(
        "redis://127.0.0.1:6379/0",
        description="Redis: redis, rediss (TLS), unix, redis+sentinel or redis+cluster. Without it "
        "`conch up` starts one.",
    )
    username: str | None = Field(None, description="User of Redis, where it has users.")
    password: SecretStr | None = Field(None, description="Password of Redis.")
    sentinel_username: str | None = Field(None, description="User of the Sentinels themselves.")
    sentinel_password: SecretStr | None = Field(
        None, description="Password of the Sentinels themselves."
    )
    ca_file: FilePath | None = Field(
        None, description="Authorities to trust with TLS; without it, the system's."
    )
    cert_file: FilePath | None = Field(None, description="Certificate to show to Redis with TLS.")
    key_file: FilePath | None = Field(None, description="Private key of that certificate.")
    check_hostname: bool = Field(
        True, description="Whether the certificate of Redis has to be for its host's name."
    )
    connect_timeout_s: Seconds = Field(2.0, description="How long connecting to Redis may take.")
    timeout_s: Seconds = Field(2.0, description="How long one answer of Redis may take.")
    max_connections: Count = Field(64, description="Connections of one process to Redis.")

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("REDIS_CERT_FILE and REDIS_KEY_FILE belong together: set both")
        if (self.ca_file or self.cert_file) and not self.address.is_tls:
            raise ValueError("REDIS_CA_FILE and REDIS_CERT_FILE need a rediss:// REDIS_URL")
        return self

    @property
    def address(self) -> RedisAddress:
        """What the URL says; its credentials count where `username` and `password` are None."""
        return redis_url.parse(self.url)


class DatabaseSettings(Settings):
    """PostgreSQL. The URL is libpq's: several hosts, sockets and TLS are said in it."""

    model_config = SettingsConfigDict(env_prefix="DATABASE_")

    url: Annotated[SecretUrl, AfterValidator(_postgresql)] = Field(
        "postgresql://conch@127.0.0.1:5432/conch",
        description="PostgreSQL as libpq's URL, with ?sslmode=verify-full for TLS. Without it "
        "`conch up` starts one.",
    )
    password: SecretStr | None = Field(
        None, description="Password of its user; wins over one in the URL."
    )
    pool_size: Count = Field(8, description="Connections of the control plane to PostgreSQL.")
    connect_timeout_s: Seconds = Field(5.0, description="How long connecting may take.")

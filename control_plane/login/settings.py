"""How people log in to the control plane, by CONTROL_* variables."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from serving.settings.base import Seconds, Settings


def _root(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("it has to be a URL like https://conch.example.com")
    return url.rstrip("/")


class LoginSettings(Settings):
    """The one OpenID client that Conch is. Without an issuer nobody can log in."""

    model_config = SettingsConfigDict(env_prefix="CONTROL_")

    public_url: Annotated[str, AfterValidator(_root)] = Field(
        "http://127.0.0.1:8090",
        description="Where browsers reach the control plane; /login/callback below it has to be "
        "registered at the provider.",
    )
    oidc_issuer: str | None = Field(
        None, description="The issuer, one of /v1/issuers, by which people log in."
    )
    oidc_client_id: str | None = Field(
        None, description="What that provider calls this control plane."
    )
    oidc_client_secret: SecretStr | None = Field(
        None, description="Its secret there; a public client has none."
    )
    oidc_scopes: str = Field("openid email profile", description="What is asked for at a login.")
    session_s: Seconds = Field(
        12 * 3600.0, description="How long a person stays logged in, used or not."
    )

    @model_validator(mode="after")
    def _client_is_whole(self) -> Self:
        if (self.oidc_issuer is None) != (self.oidc_client_id is None):
            raise ValueError("CONTROL_OIDC_ISSUER and CONTROL_OIDC_CLIENT_ID belong together")
        return self

    @property
    def redirect_uri(self) -> str:
        return f"{self.public_url}/login/callback"

    @property
    def is_secure(self) -> bool:
        """Whether browsers come over TLS."""
        return self.public_url.startswith("https:")

    @property
    def origin(self) -> str:
        """As browsers say it in `Origin`."""
        parts = urlsplit(self.public_url.lower())
        usual = {"http": 80, "https": 443}[parts.scheme]
        host = parts.netloc.removesuffix(f":{usual}")
        return f"{parts.scheme}://{host}"

"""The two steps of a login by authorization code with PKCE: to the provider, and back."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # type: ignore[import-untyped]
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]

from serving.adapters.oidc import Metadata, Oidc, ProviderUnavailable


class LoginRefused(Exception):
    """The provider does not take the code, or does not know the client; the text is its reason."""


@dataclass(frozen=True, slots=True)
class LoginClient:
    """What a provider knows us as. A public client has no secret."""

    id: str
    secret: str | None = field(repr=False)
    redirect_uri: str
    scope: str


@dataclass(frozen=True, slots=True)
class Once:
    """What belongs to one login: `verifier` is known to us alone until the code comes back."""

    state: str
    nonce: str
    verifier: str = field(repr=False)


def authorization_url(metadata: Metadata, client: LoginClient, once: Once) -> str:
    """Where to send the browser; raises ProviderUnavailable for one that has no logins."""
    if metadata.authorization_endpoint is None:
        raise ProviderUnavailable(f"{metadata.issuer} names no authorization_endpoint")
    url: str = prepare_grant_uri(
        metadata.authorization_endpoint,
        client.id,
        "code",
        redirect_uri=client.redirect_uri,
        scope=client.scope,
        state=once.state,
        nonce=once.nonce,
        code_challenge=create_s256_code_challenge(once.verifier),
        code_challenge_method="S256",
    )
    return url


async def redeem(oidc: Oidc, metadata: Metadata, client: LoginClient, code: str, once: Once) -> str:
    """The ID token for a code, not yet verified. Raises LoginRefused or ProviderUnavailable."""
    if metadata.token_endpoint is None:
        raise ProviderUnavailable(f"{metadata.issuer} names no token_endpoint")
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": client.redirect_uri,
        "code_verifier": once.verifier,
    }
    if client.secret is None:
        status, found = await oidc.post(
            metadata.token_endpoint, form | {"client_id": client.id}, None
        )
    else:
        basic = quote(client.id, safe=""), quote(client.secret, safe="")
        status, found = await oidc.post(metadata.token_endpoint, form, basic)
    return _id_token(status, found)


def _id_token(status: int, found: dict[str, Any]) -> str:
    id_token = found.get("id_token")
    if status >= 500:
        raise ProviderUnavailable(f"its token endpoint answers {status}")
    if status != 200 or not isinstance(id_token, str):
        raise LoginRefused(str(found.get("error", f"status {status} without an ID token"))[:64])
    return id_token

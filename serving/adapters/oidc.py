"""OpenID providers over HTTPS: what they say of themselves, and the keys they sign with.

Nothing is remembered here. What a provider sends is bounded in size and in time.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

MOST_BYTES = 256 * 1024
TIMEOUT_S = 5.0
DISCOVERY = "/.well-known/openid-configuration"


class ProviderUnavailable(Exception):
    """The provider did not answer, or not with what it has to; the text says which."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """Where a provider has its parts. Those that only a login needs may be missing."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None


class Oidc:
    """A client of any number of providers."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def discover(self, issuer: str) -> Metadata:
        """What `issuer` publishes of itself; raises ProviderUnavailable."""
        found = await self._get(issuer.rstrip("/") + DISCOVERY)
        if found.get("issuer") != issuer:
            # Else whoever is behind one address could speak for the issuer of another.
            raise ProviderUnavailable(f"it calls itself {_shown(found.get('issuer'))}")
        jwks_uri = _endpoint(found, "jwks_uri")
        if jwks_uri is None:
            raise ProviderUnavailable("its discovery document names no jwks_uri")
        return Metadata(
            issuer,
            jwks_uri,
            _endpoint(found, "authorization_endpoint"),
            _endpoint(found, "token_endpoint"),
        )

    async def jwks(self, metadata: Metadata) -> list[Any]:
        """The JSON Web Keys as they stand there; raises ProviderUnavailable."""
        keys = (await self._get(metadata.jwks_uri)).get("keys")
        if not isinstance(keys, list):
            raise ProviderUnavailable(f"{metadata.jwks_uri} is no set of keys")
        return keys

    async def post(
        self, url: str, form: Mapping[str, str], basic: tuple[str, str] | None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of the answer to a form, sent as the client `basic` where that is given.

        Raises ProviderUnavailable.
        """
        return await self._ask("POST", url, data=dict(form), auth=basic)

    async def _get(self, url: str) -> dict[str, Any]:
        status, found = await self._ask("GET", url)
        if status != httpx.codes.OK:
            raise ProviderUnavailable(f"{url} answers {status}")
        return found

    async def _ask(self, method: str, url: str, **options: Any) -> tuple[int, dict[str, Any]]:
        check_url(url)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status, data = await self._read(method, url, **options)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise ProviderUnavailable(f"{url}: {str(error) or type(error).__name__}") from error
        try:
            found = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise ProviderUnavailable(f"{url} answers {status}, and no JSON") from error
        if not isinstance(found, dict):
            raise ProviderUnavailable(f"{url} is no JSON object")
        return status, found

    async def _read(self, method: str, url: str, **options: Any) -> tuple[int, bytes]:
        async with self._client.stream(method, url, **options) as response:
            data = bytearray()
            # Raw: a small body that is compressed could become a very large one.
            async for piece in response.aiter_raw():
                data += piece
                if len(data) > MOST_BYTES:
                    raise ProviderUnavailable(f"{url} has more than {MOST_BYTES} bytes")
            return response.status_code, bytes(data)


@asynccontextmanager
async def connect() -> AsyncIterator[Oidc]:
    """A client for as long as the block lasts. It follows no redirects."""
    headers = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "conch"}
    async with httpx.AsyncClient(timeout=TIMEOUT_S, headers=headers) as client:
        yield Oidc(client)


def check_url(url: str) -> None:
    """Raises ProviderUnavailable for what is neither https nor on this very machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        raise ProviderUnavailable(f"{_shown(url)} is no URL") from error
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))
    if not (is_safe and host) or parts.username is not None:
        raise ProviderUnavailable(f"{_shown(url)} is not an https:// URL without credentials")


def _endpoint(found: dict[str, Any], name: str) -> str | None:
    url = found.get(name)
    if url is None:
        return None
    if not isinstance(url, str):
        raise ProviderUnavailable(f"its {name} is no text")
    check_url(url)
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(text: object) -> str:
    return repr(str(text)[:200])

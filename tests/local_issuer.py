"""An OpenID provider on this machine, for tests: it signs what it is asked to, and can misbehave.

It holds people to PKCE (S256 only) and clients to their secret and redirect URI.
"""

import asyncio
import base64
import contextlib
import hashlib
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from http_server import serving
from jwt.algorithms import get_default_algorithms
from ports import free_ports
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

AUDIENCE = "conch"
_CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


@lru_cache
def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Another one for every number. Making one takes a while: all tests share a few."""
    return rsa.generate_private_key(65537, bits)


def _private_key(algorithm: str) -> Any:
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm]())
    return ed25519.Ed25519PrivateKey.generate() if algorithm == "EdDSA" else rsa_key()


class Signer:
    """A signing key of the issuer, with an id and an algorithm."""

    def __init__(
        self, key_id: str | None = "k1", algorithm: str = "ES256", key: Any = None
    ) -> None:
        self.key_id = key_id
        self.algorithm = algorithm
        self.key = key or _private_key(algorithm)

    @property
    def jwk(self) -> dict[str, Any]:
        to_jwk = get_default_algorithms()[self.algorithm].to_jwk
        jwk = to_jwk(self.key.public_key(), as_dict=True)
        named = {} if self.key_id is None else {"kid": self.key_id}
        return {**jwk, **named, "use": "sig", "alg": self.algorithm}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        named = {} if self.key_id is None else {"kid": self.key_id}
        return jwt.encode(claims, self.key, self.algorithm, headers=named | header)


@dataclass
class Code:
    """What an authorization code stands for."""

    asked: dict[str, str]
    subject: str


@dataclass
class LocalIssuer:
    """`url` is its `iss`, `calls` counts requests by path. `status` or `body` break all answers."""

    url: str
    signer: Signer = field(default_factory=Signer)
    jwks: list[Any] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    status: int = 200
    body: bytes | None = None
    subject: str = "ann"
    claims: dict[str, Any] = field(default_factory=dict)
    client: tuple[str, str | None] = (AUDIENCE, None)
    codes: dict[str, Code] = field(default_factory=dict)
    is_held: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.is_held.set()
        self.rotate(self.signer)

    def reset(self) -> None:
        """Back to how it was when it began, with another key."""
        self.is_held.set()
        self.__init__(self.url)  # type: ignore[misc]

    def rotate(self, signer: Signer, *, keep: bool = False) -> None:
        """From now on it signs with `signer`; the keys before are gone unless they are kept."""
        self.jwks = [*(self.jwks if keep else []), signer.jwk]
        self.signer = signer

    def claims_for(self, subject: str = "ann", **claims: Any) -> dict[str, Any]:
        now = int(time.time())
        whole = {"iss": self.url, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 300}
        return {k: v for k, v in (whole | claims).items() if v is not None}

    def token(self, subject: str = "ann", **claims: Any) -> str:
        """A claim of None is left out."""
        return self.signer.sign(self.claims_for(subject, **claims))

    async def answer(self, request: Request) -> Response:
        path = request.url.path
        self.calls[path] += 1
        await self.is_held.wait()
        if self.status != 200 or self.body is not None:
            headers = {"location": "/elsewhere"} if self.status in (302, 307) else {}
            return Response(self.body or b"", self.status, headers)
        if path.endswith("/openid-configuration"):
            return JSONResponse(self._discovery())
        if path.endswith("/jwks"):
            return JSONResponse({"keys": self.jwks})
        return await (self._token(request) if path.endswith("/token") else self._authorize(request))

    def _discovery(self) -> dict[str, Any]:
        root = self.url.rstrip("/")
        return {
            "issuer": self.url,
            "jwks_uri": f"{root}/jwks",
            "authorization_endpoint": f"{root}/authorize",
            "token_endpoint": f"{root}/token",
        } | self.metadata

    async def _authorize(self, request: Request) -> Response:
        """As if somebody had just said who they are."""
        asked = dict(request.query_params)
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self.codes[code] = Code(asked, self.subject)
        back = urlencode({"code": code, "state": asked["state"], "iss": self.url})
        return RedirectResponse(f"{asked['redirect_uri']}?{back}", 302)

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        code = self.codes.pop(form.get("code", ""), None)
        if not self._is_client(request, form):
            return JSONResponse({"error": "invalid_client"}, 401)
        if code is None or not _is_answer(form, code.asked):
            return JSONResponse({"error": "invalid_grant"}, 400)
        claims = {"nonce": code.asked.get("nonce"), **self.claims}
        id_token = self.token(code.subject, **{"aud": self.client[0], **claims})
        return JSONResponse({"access_token": "a", "token_type": "Bearer", "id_token": id_token})

    def _is_client(self, request: Request, form: dict[str, str]) -> bool:
        client_id, secret = self.client
        if secret is None:
            return form.get("client_id") == client_id
        basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
        return request.headers.get("authorization") == f"Basic {basic}"


def _is_answer(form: dict[str, str], asked: dict[str, str]) -> bool:
    """Whether it is the one who asked for the code that brings it."""
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    is_same = form.get("redirect_uri") == asked["redirect_uri"]
    return is_same and challenge == asked["code_challenge"]


@contextlib.asynccontextmanager
async def running(path: str = "") -> AsyncIterator[LocalIssuer]:
    """An issuer that answers at a free port; its `iss` ends in `path`."""
    (port,) = free_ports(1)
    issuer = LocalIssuer(f"http://127.0.0.1:{port}{path}")
    methods = ["GET", "POST"]
    async with serving(
        Starlette(routes=[Route("/{path:path}", issuer.answer, methods=methods)]), port
    ):
        try:
            yield issuer
        finally:
            issuer.is_held.set()

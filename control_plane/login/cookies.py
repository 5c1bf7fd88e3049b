"""The two cookies of people: the login that is under way, and the session that it made.

No script can read them, no other site's form or frame sends them, and over TLS they are bound to
this very host (`__Host-`).
"""

import base64
import hashlib
import hmac
from dataclasses import asdict, dataclass

import orjson
from cryptography.fernet import Fernet, InvalidToken
from starlette.responses import Response

from control_plane.login.settings import LoginSettings
from serving.adapters.oidc_login import Once

LOGIN_S = 600
_PURPOSE = b"conch login"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login that is under way in one browser, and where that goes afterwards."""

    issuer: str
    once: Once
    next: str


def seal(attempt: Attempt, pepper: bytes, now: float) -> str:
    """As text that only a control plane can read, for LOGIN_S; nothing is kept here meanwhile."""
    return _box(pepper).encrypt_at_time(orjson.dumps(asdict(attempt)), int(now)).decode()


def unseal(text: str, pepper: bytes, now: float) -> Attempt | None:
    """None for what is forged, or too old."""
    try:
        fields = orjson.loads(_box(pepper).decrypt_at_time(text, LOGIN_S, int(now)))
    except InvalidToken:
        return None
    return Attempt(fields["issuer"], Once(**fields["once"]), fields["next"])


def _box(pepper: bytes) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hmac.digest(pepper, _PURPOSE, hashlib.sha256)))


def login_cookie(settings: LoginSettings) -> str:
    return f"{_prefix(settings)}conch_login"


def session_cookie(settings: LoginSettings) -> str:
    return f"{_prefix(settings)}conch_session"


def put(response: Response, name: str, value: str, settings: LoginSettings, age_s: float) -> None:
    response.set_cookie(
        name,
        value,
        max_age=int(age_s),
        path="/",
        secure=settings.is_secure,
        httponly=True,
        samesite="lax",
    )


def drop(response: Response, name: str, settings: LoginSettings) -> None:
    put(response, name, "", settings, 0)


def _prefix(settings: LoginSettings) -> str:
    return "__Host-" if settings.is_secure else ""

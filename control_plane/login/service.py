"""A login, from the first redirect to the session; a provider is believed as its tokens are."""

import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.login.cookies import Attempt
from control_plane.login.settings import LoginSettings
from control_plane.plane import ControlPlane
from control_plane.store import sessions
from serving.adapters.oidc import Metadata, ProviderUnavailable
from serving.adapters.oidc_login import (
    LoginClient,
    LoginRefused,
    Once,
    authorization_url,
    redeem,
)
from serving.contract.errors import InvalidRequest, NotFound, Unauthenticated, Unavailable
from serving.contract.policy import Issuer
from serving.identity import tokens
from serving.identity.claims import NAMES
from serving.identity.directory import Directory
from serving.identity.issuer_keys import Issuers
from serving.identity.people import Person, principal_of

log: structlog.stdlib.BoundLogger = structlog.get_logger("login")
_LOCAL = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]{0,2000}")
_CODE = re.compile(r"[a-z_]{1,64}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider sent the browser back with."""

    state: str
    code: str | None
    error: str | None
    issuer: str | None


def client_of(settings: LoginSettings) -> LoginClient:
    """Raises NotFound where nobody has set up logins."""
    if settings.oidc_client_id is None:
        raise NotFound("logins are not set up: CONTROL_OIDC_ISSUER and CONTROL_OIDC_CLIENT_ID do")
    secret = settings.oidc_client_secret
    return LoginClient(
        settings.oidc_client_id,
        None if secret is None else secret.get_secret_value(),
        settings.redirect_uri,
        settings.oidc_scopes,
    )


async def begin(
    plane: ControlPlane, directory: Directory, issuer: str | None, next_: str
) -> tuple[str, Attempt]:
    """Where to send the browser, and what it has to bring back."""
    client, known = client_of(plane.login), _issuer(directory, plane.login)
    if issuer not in (None, known.id):
        # The client and its secret are known to the one provider only.
        raise NotFound(f"people log in by '{known.id}' here, and by no other issuer")
    if _LOCAL.fullmatch(next_) is None:
        raise InvalidRequest("'next' has to be a path on this site", param="next")
    once = Once(*(secrets.token_urlsafe(48) for _ in range(3)))
    metadata = await _metadata(plane, known)
    try:
        return authorization_url(metadata, client, once), Attempt(known.id, once, next_)
    except ProviderUnavailable as error:
        raise _away(known.id, error) from error


async def complete(
    plane: ControlPlane, directory: Directory, attempt: Attempt | None, answer: Answer, now: float
) -> tuple[Person, str]:
    """Who has logged in, and where to go. Raises Unauthenticated unless all fits together."""
    client, issuer = client_of(plane.login), _issuer(directory, plane.login)
    attempt, code = _checked(attempt, answer, issuer)
    try:
        metadata = await _metadata(plane, issuer)
        id_token = await redeem(plane.verifier.issuers.oidc, metadata, client, code, attempt.once)
    except ProviderUnavailable as error:
        raise _away(issuer.id, error) from error
    except LoginRefused as error:
        log.warning("login_refused", issuer=issuer.id, reason=str(error))
        raise _again("the provider did not take the code") from error
    person = await _verified(id_token, directory, plane.verifier.issuers, client, now)
    _check_meant(person, attempt, client)
    principal = principal_of(person, directory)
    log.info("logged_in", principal=principal.id, tenant=principal.tenant)
    return _kept(person, issuer), attempt.next


async def open_session(
    session: AsyncSession, person: Person, settings: LoginSettings, now: float
) -> str:
    """A new session; what its cookie has to say."""
    token = secrets.token_urlsafe(32)
    await sessions.begin(session, token, person, now=now, s=settings.session_s)
    return token


def _issuer(directory: Directory, settings: LoginSettings) -> Issuer:
    issuer = directory.issuer(settings.oidc_issuer or "")
    if issuer is None:
        raise NotFound(f"'{settings.oidc_issuer}', of CONTROL_OIDC_ISSUER, is not in /v1/issuers")
    return issuer


async def _metadata(plane: ControlPlane, issuer: Issuer) -> Metadata:
    return (await plane.verifier.issuers.keys_of(issuer.id)).metadata


def _checked(attempt: Attempt | None, answer: Answer, issuer: Issuer) -> tuple[Attempt, str]:
    """The attempt that this is the answer to, and its code."""
    if attempt is None or attempt.issuer != issuer.id:
        raise _again("this browser has not begun a login, or too long ago")
    if not hmac.compare_digest(attempt.once.state.encode(), answer.state.encode()):
        raise _again("this is the answer to another login")
    if answer.issuer not in (None, issuer.id):
        raise _again("this is the answer of another issuer")
    if answer.code is None:
        said = answer.error or ""
        raise _again(f"the provider says '{said if _CODE.fullmatch(said) else 'no'}'")
    return attempt, answer.code


async def _verified(
    id_token: str, directory: Directory, issuers: Issuers, client: LoginClient, now: float
) -> Person:
    await tokens.fetch_keys(id_token, directory, issuers)
    person, _ = tokens.verify(id_token, directory, issuers, now, audience=client.id)
    return person


def _check_meant(person: Person, attempt: Attempt, client: LoginClient) -> None:
    """That the token was made for this login and this client."""
    nonce = person.claims.get("nonce")
    is_ours = isinstance(nonce, str) and hmac.compare_digest(
        nonce.encode(errors="replace"), attempt.once.nonce.encode()
    )
    is_theirs = person.issuer == attempt.issuer
    if not (is_ours and is_theirs) or person.claims.get("azp", client.id) != client.id:
        raise _again("the ID token is not of this login")


def _kept(person: Person, issuer: Issuer) -> Person:
    """With those claims only that say anything here."""
    named = (issuer.tenant_claim, issuer.project_claim, issuer.roles_claim)
    heads = {part for name in named if name for part in (name, name.partition(".")[0])}
    claims: Mapping[str, Any] = {
        name: value for name, value in person.claims.items() if name in heads.union(NAMES)
    }
    return replace(person, claims=claims)


def _again(why: str) -> Unauthenticated:
    return Unauthenticated(f"{why}: log in again, at /login")


def _away(issuer: str, error: Exception) -> Unavailable:
    log.warning("login_unavailable", issuer=issuer, reason=str(error))
    return Unavailable(f"'{issuer}' cannot be reached now; try again soon")

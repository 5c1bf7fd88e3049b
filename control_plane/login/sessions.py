"""Who a browser's session is of, for every request anew."""

import re
import time

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from control_plane.login.cookies import session_cookie
from control_plane.login.same_site import check_origin
from control_plane.login.settings import LoginSettings
from control_plane.store import sessions
from serving.contract.errors import Unauthenticated
from serving.contract.principal import Principal
from serving.identity.directory import Directory
from serving.identity.people import principal_of

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # 256 bits, as a login makes them


def session_token(request: Request, settings: LoginSettings) -> str | None:
    """None for a request without the cookie, or with an Authorization header: that counts.

    Raises Forbidden for what another site made the browser send, and Unauthenticated for what
    never was the token of a session.
    """
    token = request.cookies.get(session_cookie(settings))
    if not token or "authorization" in request.headers:
        return None
    check_origin(request.method, request.headers, settings.origin)
    if not _TOKEN.fullmatch(token):
        raise _over()
    return token


async def session_principal(token: str, session: AsyncSession, directory: Directory) -> Principal:
    """Raises Unauthenticated for a session that is over, or a person that is not known any more."""
    found = await sessions.find(session, token, now=time.time())
    if found is None:
        raise _over()
    return principal_of(found.person, directory)


def _over() -> Unauthenticated:
    return Unauthenticated("the session is over: log in again, at /login")

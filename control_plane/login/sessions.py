"""Who a browser's session is of, for every request anew."""

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


async def session_principal(
    request: Request, session: AsyncSession, directory: Directory, settings: LoginSettings
) -> Principal | None:
    """None for a request without the cookie, or with an Authorization header: that counts.

    Raises Unauthenticated for a session that is over, or a person that is not known any more, and
    Forbidden for what another site made the browser send.
    """
    token = request.cookies.get(session_cookie(settings))
    if not token or "authorization" in request.headers:
        return None
    check_origin(request.method, request.headers, settings.origin)
    found = await sessions.find(session, token, now=time.time())
    if found is None:
        raise Unauthenticated("the session is over: log in again, at /login")
    return principal_of(found.person, directory)

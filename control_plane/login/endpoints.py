"""/login, /logout and /v1/me: people come and go by their OpenID provider."""

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from control_plane.access import Requirement, open_to_all
from control_plane.login import cookies, service
from control_plane.login.same_site import check_origin
from control_plane.login.schemas import Me
from control_plane.plane import Plane
from control_plane.store import sessions
from serving.contract.principal import Principal
from serving.identity.directory import Directory

router = APIRouter(tags=["login"])
OPEN = [Depends(open_to_all)]
Anybody = Annotated[Principal, Depends(Requirement(None))]
Text = Annotated[str | None, Query(max_length=4096)]


async def _directory(plane: Plane) -> Directory:
    """No connection is held while the provider is asked."""
    async with plane.database.session() as session:
        return await plane.policy.fresh(session)


Policy = Annotated[Directory, Depends(_directory)]


@router.get("/login", dependencies=OPEN)
async def login(
    plane: Plane,
    directory: Policy,
    issuer: Text = None,
    next_: Annotated[str, Query(alias="next")] = "/",
) -> Response:
    """Sends the browser to the provider; afterwards it goes to `next`, a path on this site."""
    url, attempt = await service.begin(plane, directory, issuer, next_)
    response = RedirectResponse(url, status_code=303)
    sealed = cookies.seal(attempt, plane.pepper, time.time())
    name = cookies.login_cookie(plane.login)
    cookies.put(response, name, sealed, plane.login, cookies.LOGIN_S)
    return response


@router.get("/login/callback", dependencies=OPEN)
async def callback(
    request: Request,
    plane: Plane,
    directory: Policy,
    state: Annotated[str, Query(max_length=4096)],
    code: Text = None,
    error: Text = None,
    iss: Text = None,
) -> Response:
    """Where the provider sends the browser back to."""
    settings, now = plane.login, time.time()
    sealed = request.cookies.get(cookies.login_cookie(settings), "")
    attempt = cookies.unseal(sealed, plane.pepper, now)
    answer = service.Answer(state, code, error, iss)
    person, next_ = await service.complete(plane, directory, attempt, answer, now)
    before = request.cookies.get(cookies.session_cookie(settings), "")
    async with plane.database.session() as session:
        await sessions.end(session, before)
        token = await service.open_session(session, person, settings, now)
    response = RedirectResponse(next_, status_code=303)
    cookies.put(response, cookies.session_cookie(settings), token, settings, settings.session_s)
    cookies.drop(response, cookies.login_cookie(settings), settings)
    return response


@router.post("/logout", status_code=204, dependencies=OPEN)
async def logout(request: Request, plane: Plane) -> Response:
    """Ends the session of this browser, here and for whoever has a copy of its cookie."""
    name = cookies.session_cookie(plane.login)
    token = request.cookies.get(name)
    response = Response(status_code=204)
    if token:
        check_origin(request.method, request.headers, plane.login.origin)
        async with plane.database.session() as session:
            await sessions.end(session, token)
        cookies.drop(response, name, plane.login)
    return response


@router.get("/v1/me")
async def me(caller: Anybody) -> Me:
    """Who the caller is, and what it may do."""
    return Me.of(caller)

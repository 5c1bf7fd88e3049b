"""Every exception as the error object of its kind."""

from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.exceptions import HTTPException

from serving.contract.errors import (
    AddressLimited,
    ConchError,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    PayloadTooLarge,
    RouteNotFound,
)
from serving.web.errors import error_headers, error_object, invalid

# Where in a request pydantic found what is wrong; a client knows the field without it.
PLACES = ("body", "query", "path", "header", "cookie")


def answer(request: Request, error: ConchError) -> Response:
    request.state.reason = error.code
    return Response(
        error_object(error),
        status_code=error.status,
        headers=error_headers(error),
        media_type="application/json",
    )


def install(app: FastAPI) -> None:
    """A foreign exception is a defect: it tells the client nothing, and the edge logs it."""

    @app.exception_handler(ConchError)
    async def ours(request: Request, error: ConchError) -> Response:
        return answer(request, error)

    @app.exception_handler(RequestValidationError)
    async def not_valid(request: Request, error: RequestValidationError) -> Response:
        return answer(request, _first_complaint(error))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return answer(request, _of_the_framework(request, error))

    @app.exception_handler(Exception)
    async def defect(request: Request, _error: Exception) -> Response:
        return answer(request, InternalError("internal error"))


def _first_complaint(error: RequestValidationError) -> InvalidRequest:
    detail = dict(error.errors()[0])
    if detail["type"] == "json_invalid":
        return InvalidRequest("the body is not valid JSON")
    place, *rest = detail["loc"]
    detail["loc"] = tuple(rest if place in PLACES and rest else detail["loc"])
    return invalid(detail)


def _of_the_framework(request: Request, error: HTTPException) -> ConchError:
    if error.status_code == MethodNotAllowed.status:
        return _method_not_allowed(request)
    if error.status_code == RouteNotFound.status:
        return RouteNotFound(f"no endpoint {request.method} {request.url.path[:128]}")
    if error.status_code == PayloadTooLarge.status:
        return PayloadTooLarge("the body is larger than CONTROL_MAX_BODY_BYTES allows")
    if error.status_code == AddressLimited.status:
        return AddressLimited("this address sends too many bytes at a time; send them in turn")
    if error.status_code == HTTPStatus.REQUEST_TIMEOUT:
        return InvalidRequest("the body did not arrive within CONTROL_BODY_TIMEOUT_S")
    return InvalidRequest("the body cannot be read: send one JSON object")


def _method_not_allowed(request: Request) -> MethodNotAllowed:
    """The framework names the methods of one endpoint at that path; there may be several."""
    there = [each.original_route for each in iter_route_contexts(request.app.routes)]
    methods = {
        method
        for route in there
        if isinstance(route, APIRoute) and route.path_regex.match(request.url.path)
        for method in route.methods or ()
    }
    error = MethodNotAllowed(f"this endpoint takes {', '.join(sorted(methods))} only")
    error.allowed = ", ".join(sorted(methods))
    return error

"""The control plane's API, as the commands call it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx
from dotenv import dotenv_values

from serving.cli.connection import layout, owner_key_file
from serving.cli.replies import refusal
from serving.settings.secret_files import first_line, read_secret
from serving.stack.errors import StackError

URL = "CONCH_CONTROL_URL"
KEY = "CONCH_ADMIN_KEY"
PATIENCE_S = 30.0
PAGE = 100
Json = dict[str, Any]


class Control:
    """A connection to it. What it refuses is a StackError in its own words."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, *path: str, **params: Any) -> Any:
        return self._call("GET", path, params=_said(params))

    def post(self, *path: str, body: Json | None = None) -> Any:
        return self._call("POST", path, json=body)

    def patch(self, *path: str, body: Json, headers: dict[str, str] | None = None) -> Any:
        return self._call("PATCH", path, json=body, headers=headers)

    def put(self, *path: str, body: Json) -> Any:
        return self._call("PUT", path, json=body)

    def delete(self, *path: str) -> Any:
        return self._call("DELETE", path)

    def each(self, *path: str, **params: Any) -> Iterator[Json]:
        """All items of a list, page by page."""
        after: dict[str, str] = {}
        while True:
            page = self.get(*path, **params, **after, limit=PAGE)
            yield from page["data"]
            if not page["has_more"]:
                return
            after = {"after": page["last_id"]}

    @contextmanager
    def pieces(self, *path: str, **params: Any) -> Iterator[Iterator[bytes]]:
        """The body of a long answer, piece by piece, within the block."""
        with (
            self._our_errors(),
            self._client.stream("GET", _url_of(path), params=_said(params)) as response,
        ):
            if response.is_error:
                response.read()
                raise StackError(refusal(response))
            yield response.iter_bytes()

    def _call(self, method: str, path: tuple[str, ...], **more: Any) -> Any:
        with self._our_errors():
            response = self._client.request(method, _url_of(path), **more)
        if response.is_error:
            raise StackError(refusal(response))
        return response.json() if response.content else None

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            where = self._client.base_url
            raise StackError(f"{where} does not answer ({error!r}); see `conch status`") from error


@contextmanager
def control() -> Iterator[Control]:
    """The control plane of the stack at hand, or the one that the environment names."""
    headers = {"Authorization": f"Bearer {admin_key()}"}
    with httpx.Client(
        base_url=_url(), headers=headers, timeout=PATIENCE_S, trust_env=False
    ) as client:
        yield Control(client)


def project(id_: str) -> tuple[str, str]:
    """The parts of a project's id, for a path."""
    tenant, slash, name = id_.partition("/")
    if not slash:
        raise StackError(f"'{id_}' is no project: it is <tenant>/<project>, as in default/default")
    return tenant, name


def _url_of(path: tuple[str, ...]) -> str:
    # A project's id is two parts of a path, an issuer's is one.
    return "/v1/" + "/".join(quote(part, safe="") for part in path)


def _url() -> str:
    file = layout().env_file
    found = os.environ.get(URL) or dotenv_values(file).get(URL)
    if not found:
        raise StackError(
            f"no control plane: {file} is not there (`conch up` writes it) and {URL} is not set"
        )
    return found


def admin_key() -> str:
    given = read_secret(KEY)
    if given:
        return given
    file = owner_key_file()
    if not file.exists():
        raise StackError(f"no key: {file} is not there, and {KEY} and {KEY}_FILE are not set")
    return first_line(file, str(file))


def _said(params: Json) -> Json:
    return {name: value for name, value in params.items() if value is not None}

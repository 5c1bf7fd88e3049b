"""A user with a connection to the gateway, and the rows it writes into Locust's tables."""

# Locust's classes and decorators are untyped.
# mypy: allow-subclassing-any, allow-untyped-decorators

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from locust import User, between, events
from locust.env import Environment

from loadtests.bounds import check_bounds
from loadtests.settings import RefusedLoad, load
from loadtests.sse import BrokenAnswer, error_code

logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for every request otherwise
TLS = httpx.create_ssl_context()  # made once: it takes longer than a whole answer


class Caller(User):
    """The base of all users. A fault of the gateway is a row, never an exception in a task."""

    abstract = True
    wait_time = between(0.1, 1.0)

    def on_start(self) -> None:
        self.settings = load(self.environment.host)
        self.client = httpx.Client(
            base_url=self.settings.base_url,
            headers={"Authorization": f"Bearer {self.settings.api_key.get_secret_value()}"},
            timeout=self.settings.timeout_s,
            trust_env=False,
            verify=TLS,
        )

    def on_stop(self) -> None:
        self.client.close()

    def write_row(
        self, kind: str, name: str, seconds: float, *, error: Exception | None = None
    ) -> None:
        """One measurement: `kind` is what Locust calls the request type."""
        self.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=seconds * 1e3,
            response_length=0,
            exception=error,
            context={},
        )

    @contextmanager
    def whole_request(self, name: str) -> Iterator[None]:
        """Writes the row of the whole request; what goes wrong in the block ends here."""
        began_s = time.perf_counter()
        failure: Exception | None = None
        try:
            yield
        except (BrokenAnswer, httpx.HTTPError) as error:
            failure = error
        self.write_row("POST", name, time.perf_counter() - began_s, error=failure)


def check_status(response: httpx.Response) -> None:
    """Raises BrokenAnswer with the code of the gateway's refusal."""
    if not response.is_success:
        response.read()
        raise BrokenAnswer(f"HTTP {response.status_code}: {error_code(json_of(response))}")


def json_of(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _refuse(environment: Environment) -> None:
    """Ends the process with a line instead of a load that was not meant."""
    options = environment.parsed_options
    assert options is not None
    try:
        check_bounds(
            load(environment.host),
            users=options.num_users,
            run_time_s=options.run_time,
            is_headless=options.headless,
        )
    except RefusedLoad as error:
        raise SystemExit(f"error: {error}") from None


@events.init.add_listener
def check_before_start(environment: Environment, **_: Any) -> None:
    _refuse(environment)
    # A turn of gevent's loop, whose clock stands since the imports: --run-time counts from there.
    time.sleep(0)


@events.test_start.add_listener
def check_what_the_page_asked(environment: Environment, **_: Any) -> None:
    """The web page can name another host, and more users, than the command line did."""
    _refuse(environment)

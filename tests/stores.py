"""Real stores for tests.

`redis_server`, `redis_cluster` and `postgres_server` start once a run, when they are first asked
for; `database` is a new, empty database for one test, `module_database` one for a module. At full
scale every test of them runs twice: on the servers that the stack starts, and on Debian's, by TCP
with TLS.
"""

import os
from collections.abc import Iterator

import pytest
from debian_stores import debian_postgres_server, debian_redis_server, missing_packages
from store_servers import (
    Database,
    PostgresStore,
    RedisStore,
    embedded_postgres_server,
    embedded_redis_cluster,
    embedded_redis_server,
    folder,
    remove_leftovers,
    running_redis,
)

__all__ = ["Database", "PostgresStore", "RedisStore", "folder", "running_redis"]

REDIS = {"embedded": embedded_redis_server, "debian": debian_redis_server}
POSTGRES = {"embedded": embedded_postgres_server, "debian": debian_postgres_server}
KINDS = list(REDIS) if os.environ.get("CONCH_TEST_SCALE") == "full" else None


def pytest_configure() -> None:
    remove_leftovers()
    if KINDS is not None and (problem := missing_packages()):
        raise pytest.UsageError(problem)


@pytest.fixture(scope="session", params=KINDS)
def store_kind(request: pytest.FixtureRequest) -> str:
    """Whose servers."""
    return getattr(request, "param", "embedded")


@pytest.fixture(scope="session")
def redis_server(store_kind: str) -> Iterator[RedisStore]:
    """One Redis; a test that needs it empty flushes it."""
    with REDIS[store_kind]() as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisStore]:
    """A cluster of three nodes without replicas."""
    with embedded_redis_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres_server(store_kind: str) -> Iterator[PostgresStore]:
    """One PostgreSQL; tests take databases of it."""
    with POSTGRES[store_kind]() as server:
        yield server


@pytest.fixture
def database(postgres_server: PostgresStore) -> Iterator[Database]:
    """A new, empty database for one test."""
    with postgres_server.new_database() as made:
        yield made


@pytest.fixture(scope="module")
def module_database(postgres_server: PostgresStore) -> Iterator[Database]:
    """A new, empty database for the tests of one module."""
    with postgres_server.new_database() as made:
        yield made

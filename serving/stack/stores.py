"""Redis and PostgreSQL of a stack: the ones that URLs name, or else embedded ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from serving.settings.stores import DatabaseSettings, RedisSettings
from serving.stack import keyring
from serving.stack.errors import StackError
from serving.stack.layout import Layout
from serving.stack.part import Part
from serving.stack.postgres import postgres_part
from serving.stack.postgres_home import find_home
from serving.stack.postgres_server import PostgresServer
from serving.stack.redis import RedisServer, redis_part
from serving.stack.settings import StackSettings
from serving.stack.sockets import socket_folder


@dataclass(frozen=True, slots=True)
class Store:
    """What is to be started of one store, and what says to others where it is."""

    parts: tuple[Part, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


def redis_store(stack: StackSettings, redis: RedisSettings, layout: Layout) -> Store:
    if "url" in redis.model_fields_set:
        return Store()
    file = layout.secret("redis_password")
    server = RedisServer(layout.redis, socket_folder(layout) / "redis.sock")
    part = redis_part(stack, server, keyring.ensure(file))
    return Store((part,), _variables("REDIS", server.url, file) | {"REDIS_USERNAME": ""})


def database_store(
    stack: StackSettings, database: DatabaseSettings, layout: Layout, *, is_vital: bool
) -> Store:
    if "url" in database.model_fields_set:
        return Store()
    file = layout.secret("postgres_password")
    server = PostgresServer(find_home(layout))
    if server.home.data.exists() and not file.exists():
        raise StackError(f"{file} is not there: bring it back, or remove {server.home.data} too")
    part = postgres_part(stack, server, keyring.ensure(file), is_vital=is_vital)
    return Store((part,), _variables("DATABASE", server.url, file))


def _variables(prefix: str, url: str, password: Path) -> dict[str, str]:
    return {f"{prefix}_URL": url, f"{prefix}_PASSWORD_FILE": str(password.resolve())}

"""Stores for tests as objects, and the servers of the wheels, run as the stack runs them."""

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import redis
from ports import free_ports
from psycopg.sql import SQL, Identifier

from serving.settings.redis_url import Kind
from serving.settings.stores import DatabaseSettings, RedisSettings
from serving.stack import postgres
from serving.stack import redis as embedded_redis
from serving.stack.layout import Layout
from serving.stack.postgres_home import find_home, remove_home
from serving.stack.postgres_server import PostgresServer
from serving.stack.process import identity
from serving.stack.redis import RedisServer

START_S = 20.0
POLL_S = 0.02
CLUSTER_NODES = 3
SLOTS = 1 << 14
GOSSIP = 10000  # above the port of a node is the one where it talks to the others


@dataclass(frozen=True)
class RedisStore:
    """A running Redis: one server or a cluster. `options` are settings beside its URL."""

    url: str
    password: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, **options: Any) -> RedisSettings:
        given = {"url": self.url, "password": self.password, **self.options} | options
        return RedisSettings(**given)

    def environment(self) -> dict[str, str]:
        """What a process is told to find it."""
        more = {f"REDIS_{name.upper()}": str(value) for name, value in self.options.items()}
        return {"REDIS_URL": self.url, "REDIS_PASSWORD": self.password, **more}

    def flush(self) -> None:
        """Removes every key, and every script that was loaded."""
        with self.client() as client:
            client.flushall()
            client.script_flush()

    def client(self) -> redis.Redis | redis.RedisCluster:
        """A client of its own, not asynchronous."""
        address = self.settings().address
        if address.socket is not None:
            return redis.Redis(unix_socket_path=address.socket, password=self.password)
        host, port = address.hosts[0]
        if address.kind is Kind.CLUSTER:
            return redis.RedisCluster(host=host, port=port, password=self.password)
        authorities = str(self.options["ca_file"])
        return redis.Redis(host, port, password=self.password, ssl=True, ssl_ca_certs=authorities)


@dataclass(frozen=True)
class Database:
    """One database of a running PostgreSQL."""

    url: str
    password: str

    def settings(self, **options: Any) -> DatabaseSettings:
        given = {"url": self.url, "password": self.password} | options
        return DatabaseSettings(**given)

    def environment(self) -> dict[str, str]:
        """What a process is told to find it."""
        return {"DATABASE_URL": self.url, "DATABASE_PASSWORD": self.password}

    def connect(self) -> psycopg.Connection:
        """A connection of its own that commits every statement."""
        return psycopg.connect(self.url, password=self.password, autocommit=True)


@dataclass(frozen=True)
class PostgresStore:
    """A running PostgreSQL."""

    url: str
    password: str

    def connect(self) -> psycopg.Connection:
        return Database(self.url, self.password).connect()

    @contextmanager
    def new_database(self) -> Iterator[Database]:
        """An empty database, for as long as the block lasts."""
        name = f"test_{secrets.token_hex(4)}"
        with self.connect() as admin:
            admin.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
            try:
                yield Database(urlsplit(self.url)._replace(path=f"/{name}").geturl(), self.password)
            finally:
                admin.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def remove_leftovers() -> None:
    """What runs have left that were killed; their servers ended with them."""
    for path in Path(tempfile.gettempdir()).glob("ct-*-*"):
        owner = int(path.name.split("-")[1])
        if not psutil.pid_exists(owner):
            with suppress(OSError):  # another run may be at it too
                remove_home(Layout(path))
                shutil.rmtree(path)


@contextmanager
def folder() -> Iterator[Path]:
    """A short path: sockets go into it."""
    path = Path(tempfile.mkdtemp(prefix=f"ct-{os.getpid()}-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def process(
    command: tuple[str, ...], log: Path, *, stop: signal.Signals, user: str | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that also gets `stop` when the test run is killed."""
    line = ["setpriv", "--pdeathsig", stop.name.removeprefix("SIG"), *command]
    with log.open("ab") as output:
        server = subprocess.Popen(line, stdout=output, stderr=output, **identity(user))
    try:
        yield server
    finally:
        server.send_signal(stop)
        server.wait()


def until(is_there: Callable[[], bool], server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while not is_there():
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(POLL_S)


@contextmanager
def running_redis(server: RedisServer, password: str, **more: str) -> Iterator[None]:
    """`more` options have - for _."""
    server.configure(password, {name.replace("_", "-"): value for name, value in more.items()})
    log = server.folder / "log"

    def answers() -> bool:
        return asyncio.run(embedded_redis.answers(server.socket, password, timeout_s=1))

    with process(server.command, log, stop=signal.SIGKILL) as child:
        until(answers, child, log)
        yield


@contextmanager
def embedded_redis_server() -> Iterator[RedisStore]:
    password = secrets.token_hex(16)
    with folder() as path:
        server = RedisServer(path / "redis", path / "redis.sock")
        with running_redis(server, password):
            yield RedisStore(server.url, password)


@contextmanager
def embedded_redis_cluster() -> Iterator[RedisStore]:
    """Three nodes without replicas, on the loopback."""
    password = secrets.token_hex(16)
    with ExitStack() as stack:
        path = stack.enter_context(folder())
        ports = free_ports(CLUSTER_NODES, also=GOSSIP)
        for port in ports:
            server = RedisServer(path / str(port), path / f"{port}.sock")
            options = {"port": str(port), "bind": "127.0.0.1", "masterauth": password}
            stack.enter_context(running_redis(server, password, **options, cluster_enabled="yes"))
        _join(ports, password)
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        yield RedisStore(f"redis+cluster://{hosts}", password)


def _join(ports: list[int], password: str) -> None:
    """Shares the slots out and waits until every node knows who has which."""
    nodes = [redis.Redis(port=port, password=password) for port in ports]
    for number, node in enumerate(nodes):
        first, last = (SLOTS * n // len(nodes) for n in (number, number + 1))
        node.execute_command("CLUSTER ADDSLOTS", *range(first, last))
        node.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        node.execute_command("CLUSTER MEET", "127.0.0.1", ports[0])
    deadline = time.monotonic() + START_S
    while not all(_is_whole(node) for node in nodes):
        assert time.monotonic() < deadline, "the cluster does not come together"
        time.sleep(POLL_S)
    for node in nodes:
        node.close()


def _is_whole(node: redis.Redis) -> bool:
    info = node.execute_command("CLUSTER INFO")
    return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == str(CLUSTER_NODES)


@contextmanager
def embedded_postgres_server() -> Iterator[PostgresStore]:
    password = secrets.token_hex(16)
    with folder() as path:
        layout = Layout(path)
        layout.prepare()
        server = PostgresServer(find_home(layout))
        try:
            with _running_postgres(server, password, path / "log" / "postgres.log"):
                yield PostgresStore(server.url, password)
        finally:
            remove_home(layout)


@contextmanager
def _running_postgres(server: PostgresServer, password: str, log: Path) -> Iterator[None]:
    asyncio.run(server.prepare(password))

    def answers() -> bool:
        return asyncio.run(postgres.answers(server.socket, timeout_s=1))

    # Asked by SIGQUIT it ends at once, and takes its children and shared memory with it.
    with process(server.command, log, stop=signal.SIGQUIT, user=server.home.user) as child:
        until(answers, child, log)
        yield

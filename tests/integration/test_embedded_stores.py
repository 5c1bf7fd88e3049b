"""Redis and PostgreSQL as the stack keeps them: what is left, and what comes back, after a kill."""

import asyncio
import os
import pwd
import shutil
import signal
import stat
import tempfile
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from redis.asyncio import Redis

from serving.stack import postgres, postgres_home, reaper, redis
from serving.stack.errors import StackError
from serving.stack.keeper import Keeper, Surroundings
from serving.stack.layout import Layout
from serving.stack.part import Health
from serving.stack.postgres_home import find_home, remove_home
from serving.stack.postgres_server import PostgresServer
from serving.stack.redis import RedisServer
from serving.stack.settings import StackSettings
from serving.stack.state import locked
from serving.stack.stores import socket_folder
from serving.stack.supervisor import kept
from serving.stack.watchdog import watchdog

PASSWORD = "sesame"
SETTINGS = StackSettings(health_interval_s=0.05, start_timeout_s=20.0)


@contextmanager
def new_layout():
    """A var folder with a path as short as people's."""
    with tempfile.TemporaryDirectory(prefix="ct") as folder:
        Path(folder).chmod(0o755)
        layout = Layout(Path(folder) / "var")
        layout.prepare()
        try:
            yield layout
        finally:
            remove_home(layout)


@pytest.fixture
def layout():
    with new_layout() as layout:
        yield layout


@pytest.fixture(scope="module")
def lasting():
    """One var folder for all tests of PostgreSQL that find it as the last one left it."""
    with new_layout() as layout:
        yield layout


@pytest.fixture
def redis_server(layout):
    return RedisServer(layout.redis, socket_folder(layout) / "redis.sock")


@pytest.fixture
def postgres_server(lasting):
    return PostgresServer(find_home(lasting))


@asynccontextmanager
async def keeping(layout, part):
    """The part, up, in a stack of its own."""
    with locked(layout) as lock:
        async with watchdog("conch_test_stores_", lock) as dog:
            keeper = Keeper(part, Surroundings(SETTINGS, layout, dog, lambda _: None))
            async with asyncio.timeout(30), kept([keeper]):
                await keeper.was_ready.wait()
                yield keeper


async def back(keeper, restarts: int = 1) -> None:
    while keeper.restarts < restarts or keeper.health is not Health.READY:
        await asyncio.sleep(0.01)


def redis_part(server):
    return redis.redis_part(SETTINGS, server, PASSWORD)


def redis_client(server):
    return Redis(unix_socket_path=str(server.socket), password=PASSWORD)


async def test_killed_redis_is_back_with_all_it_acknowledged(layout, redis_server):
    async with keeping(layout, redis_part(redis_server)) as keeper:
        async with redis_client(redis_server) as client:
            for number in range(100):
                await client.set(f"key:{number}", number)
        os.kill(keeper.pid, signal.SIGKILL)
        await back(keeper)
        async with redis_client(redis_server) as client:
            assert await client.dbsize() == 100


async def test_log_of_redis_that_was_cut_short_does_not_keep_it_down(layout, redis_server):
    async with keeping(layout, redis_part(redis_server)), redis_client(redis_server) as client:
        await client.set("first", "x")
        await client.set("last", "y")
    log = layout.redis / "appendonly.aof"
    os.truncate(log, log.stat().st_size - 3)
    async with keeping(layout, redis_part(redis_server)), redis_client(redis_server) as client:
        assert await client.keys() == [b"first"]


async def test_redis_answers_by_its_password_and_its_socket_only(layout, redis_server):
    async with keeping(layout, redis_part(redis_server)) as keeper:
        assert not await redis.answers(redis_server.socket, "another", timeout_s=5)
        process = psutil.Process(keeper.pid)
        assert process.net_connections("inet") == []
        assert PASSWORD not in " ".join((*process.cmdline(), *process.environ().values()))
        assert stat.S_IMODE(redis_server.socket.stat().st_mode) == 0o700


def postgres_part(server):
    return postgres.postgres_part(SETTINGS, server, PASSWORD, is_vital=True)


async def connect(server):
    return await psycopg.AsyncConnection.connect(server.url, password=PASSWORD, autocommit=True)


async def test_killed_postgres_is_back_with_all_it_committed(lasting, postgres_server):
    part = postgres_part(postgres_server)
    async with keeping(lasting, part) as keeper:
        async with await connect(postgres_server) as connection:
            await connection.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
            os.kill(keeper.pid, signal.SIGKILL)
            await back(keeper)
        async with await connect(postgres_server) as connection:
            assert await (await connection.execute("SELECT count(*) FROM t")).fetchone() == (1000,)
    assert reaper.inhabitants(postgres_server.home.data) == []


async def test_file_of_a_killed_postgres_with_the_pid_of_another_process_is_no_obstacle(
    lasting, postgres_server
):
    async with keeping(lasting, postgres_part(postgres_server)):
        pass
    pid_file = postgres_server.home.data / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{postgres_server.home.data}\n1\n5432\n")
    async with keeping(lasting, postgres_part(postgres_server)) as keeper:
        assert keeper.restarts == 0


async def test_postgres_stops_at_once_though_clients_are_connected(lasting, postgres_server):
    async with keeping(lasting, postgres_part(postgres_server)) as keeper:
        pid = keeper.pid
        connection = await connect(postgres_server)
    assert not psutil.pid_exists(pid)
    log = lasting.log_of("postgres").read_text()
    assert "received fast shutdown request" in log
    assert log.rstrip().endswith("database system is shut down")
    await connection.close()


async def test_postgres_that_was_stopped_while_it_was_made_is_made_anew(layout):
    server = PostgresServer(find_home(layout))
    half = server.home.data.with_name("data.new")
    half.mkdir()
    (half / "PG_VERSION").write_text("18")
    async with keeping(layout, postgres_part(server)):
        assert not half.exists()


async def test_postgres_asks_for_its_password_and_tells_it_nobody(lasting, postgres_server):
    async with keeping(lasting, postgres_part(postgres_server)) as keeper:
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            await psycopg.AsyncConnection.connect(postgres_server.url, password="another")
        process = psutil.Process(keeper.pid)
        assert process.net_connections("inet") == []
        assert PASSWORD not in " ".join((*process.cmdline(), *process.environ().values()))
        assert not list(postgres_server.home.folder.glob("password*"))


async def test_postgres_never_runs_as_root_and_opens_no_folder_but_its_own(lasting):
    modes = [(path, path.stat().st_mode) for path in (lasting.root, lasting.root.parent)]
    server = PostgresServer(find_home(lasting))
    async with keeping(lasting, postgres_part(server)) as keeper:
        user = psutil.Process(keeper.pid).username()
        expected = ("postgres", "nobody") if os.getuid() == 0 else (pwd.getpwuid(os.getuid())[0],)
        assert user in expected
    assert [(path, path.stat().st_mode) for path, _ in modes] == modes
    assert stat.S_IMODE(server.home.folder.stat().st_mode) == 0o700
    assert find_home(lasting) == server.home


async def test_postgres_runs_from_a_package_that_only_its_owner_can_reach(
    layout, monkeypatch, tmp_path
):
    package = postgres_home.package_folder(postgres_home.MODULE, postgres_home.PACKAGE)
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    for part in (Path(package.name) / postgres_home.PROGRAMS, postgres_home.LIBRARIES):
        shutil.copytree(package.parent / part, private / part, ignore=postgres_home.UNUSED)
    monkeypatch.setattr(postgres_home, "package_folder", lambda *_: private / package.name)
    server = PostgresServer(find_home(layout))
    async with keeping(layout, postgres_part(server)), await connect(server) as connection:
        await connection.execute("CREATE EXTENSION vector")


def test_home_of_root_that_has_gone_is_told_and_not_replaced(layout):
    layout.postgres.symlink_to(layout.root / "gone")
    with pytest.raises(StackError, match="postgres"):
        find_home(layout)
    layout.postgres.unlink()


async def test_deep_var_has_stores_too(tmp_path):
    layout = Layout(tmp_path / ("deep" * 30))
    layout.prepare()
    server = RedisServer(layout.redis, socket_folder(layout) / "redis.sock")
    async with keeping(layout, redis_part(server)), redis_client(server) as client:
        assert await client.ping()
    server.socket.parent.rmdir()

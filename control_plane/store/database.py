"""PostgreSQL: connections, transactions, and its errors as ours. Types of its driver stop here."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import orjson
import psycopg
import structlog
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from serving.contract.errors import Unavailable
from serving.settings.stores import DatabaseSettings

POOL_WAIT_S = 5.0
RETRY_S = 0.5
IDLE_MS = 60_000
DEAD_AFTER_MS = 15_000  # a network that swallows packets is a closed connection after this
log: structlog.stdlib.BoundLogger = structlog.get_logger("database")


LATER = (OperationalError, InterfaceError, PoolTimeout, psycopg.OperationalError)


@contextmanager
def our_errors() -> Iterator[None]:
    """Raises Unavailable for what time may heal: a restart, a full pool, a lock not to be had."""
    try:
        yield
    except LATER as error:
        log.warning("database_unavailable", reason=reason(error))
        raise Unavailable("the database does not answer; try again") from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        log.warning("database_unavailable", reason=reason(error))
        raise Unavailable("the database has just restarted; try again") from error


def reason(error: Exception) -> str:
    """Without statement and parameters, which SQLAlchemy adds: they may be secret."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return str(cause).strip().partition("\n")[0]


class Database:
    """One PostgreSQL, by a pool of connections that outlives its restarts."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @asynccontextmanager
    async def session(self, *, is_snapshot: bool = False) -> AsyncIterator[AsyncSession]:
        """One transaction: committed at the end of the block, rolled back by an exception.

        With `is_snapshot` all that is read in it is of one moment. Raises Unavailable.
        """
        level = "REPEATABLE READ" if is_snapshot else "READ COMMITTED"
        engine = self.engine.execution_options(isolation_level=level)
        with our_errors():
            async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
                yield session

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection outside any transaction; its locks and subscriptions end with the block."""
        with our_errors():
            async with self.engine.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                try:
                    yield connection
                finally:
                    await connection.invalidate()

    async def answers(self) -> None:
        """Raises Unavailable when it does not."""
        async with self.session() as session:
            await session.execute(select(1))

    async def wait(self, patience_s: float) -> None:
        """Until it answers; raises Unavailable, with the reason, after `patience_s`."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + patience_s
        while True:
            try:
                async with self.engine.connect():
                    return
            except LATER as error:
                log.info("database_awaited", reason=reason(error))
                if clock() > deadline:
                    raise Unavailable(f"PostgreSQL does not answer: {reason(error)}") from error
                await asyncio.sleep(RETRY_S)


@asynccontextmanager
async def connect(settings: DatabaseSettings) -> AsyncIterator[Database]:
    """The database that `settings` name; connections are made when they are needed."""
    engine = create_async_engine(
        "postgresql+psycopg://",
        # libpq takes its own URL: it knows more forms than SQLAlchemy does.
        async_creator=lambda: _connect(settings),
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_S,
        pool_pre_ping=True,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
    )
    try:
        yield Database(engine)
    finally:
        await engine.dispose()


async def _connect(settings: DatabaseSettings) -> "psycopg.AsyncConnection[Any]":
    password = settings.password
    connection = await psycopg.AsyncConnection.connect(
        settings.url,
        password=None if password is None else password.get_secret_value(),
        connect_timeout=math.ceil(settings.connect_timeout_s),
        tcp_user_timeout=DEAD_AFTER_MS,
        fallback_application_name="conch-control-plane",
    )
    async with AsyncExitStack() as on_failure:
        on_failure.push_async_callback(connection.close)
        # Not by libpq's `options`: the URL may have some, and poolers know few of them.
        await connection.execute("SET TIME ZONE 'UTC'")
        # Who is stopped in the middle of a transaction gives its locks back to the others.
        await connection.execute(f"SET idle_in_transaction_session_timeout = {IDLE_MS}")
        await connection.commit()
        on_failure.pop_all()
    return connection


async def notified(connection: AsyncConnection, *, timeout_s: float) -> None:
    """Returns at the next notification of a channel it listens to, or after `timeout_s`."""
    driver: psycopg.AsyncConnection[Any] | None
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    async for _ in driver.notifies(timeout=timeout_s, stop_after=1):
        pass

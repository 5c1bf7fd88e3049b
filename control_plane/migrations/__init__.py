"""The schema, step by step, and how a database is brought to the newest one."""

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from control_plane.store.database import our_errors
from control_plane.store.locks import Lock
from serving.settings.base import BadSettings


def config(connection: Connection) -> Config:
    """Alembic's, for the migrations in this package on an open connection."""
    found = Config(attributes={"connection": connection})
    found.set_main_option("script_location", "control_plane:migrations")
    found.set_main_option("path_separator", "os")
    return found


async def migrate(engine: AsyncEngine) -> None:
    """Brings the schema up to date, all of it or nothing; who starts at the same time waits.

    Raises BadSettings when the database is of a newer version of Conch.
    """
    with our_errors():
        async with engine.begin() as connection:
            await connection.execute(select(func.pg_advisory_xact_lock(Lock.MIGRATE)))
            await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    try:
        command.upgrade(config(connection), "head")
    except CommandError as error:
        raise BadSettings(f"DATABASE_URL: the schema is not of this version: {error}") from error

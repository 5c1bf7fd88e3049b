"""The schema goes up, down and up again, and is the one the tables say."""

import asyncio
from importlib import import_module
from pkgutil import iter_modules

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

import control_plane.store
from control_plane.migrations import config, migrate
from control_plane.store.database import connect
from control_plane.store.tables import metadata
from serving.settings.base import BadSettings


@pytest.fixture
async def empty(database):
    async with connect(database.settings(pool_size=4)) as empty:
        yield empty


async def run(database, step):
    async with database.engine.begin() as connection:
        return await connection.run_sync(step)


def tables(connection):
    return set(inspect(connection).get_table_names())


def difference(connection):
    for module in iter_modules(control_plane.store.__path__, "control_plane.store."):
        import_module(module.name)
    context = MigrationContext.configure(connection, opts={"compare_server_default": True})
    return compare_metadata(context, metadata)


async def test_every_migration_goes_up_and_down_and_up(empty):
    await migrate(empty.engine)
    assert await run(empty, difference) == []
    revisions = await run(
        empty, lambda c: list(ScriptDirectory.from_config(config(c)).walk_revisions())
    )
    for revision in revisions:
        await run(
            empty, lambda c, r=revision: command.downgrade(config(c), r.down_revision or "base")
        )
    assert await run(empty, tables) == {"alembic_version"}
    assert await run(empty, functions) == []
    await migrate(empty.engine)
    assert await run(empty, difference) == []


def functions(connection):
    return connection.execute(
        text("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
    ).all()


async def test_two_that_start_together_migrate_once(empty):
    await asyncio.gather(migrate(empty.engine), migrate(empty.engine), migrate(empty.engine))
    assert await run(empty, difference) == []


async def test_a_database_of_a_newer_version_is_left_alone(empty):
    await migrate(empty.engine)
    await run(empty, lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(BadSettings, match="the schema is not of this version"):
        await migrate(empty.engine)

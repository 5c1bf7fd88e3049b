"""The stores that tests are given are reached by our settings, as services reach theirs."""

import psycopg
import pytest

from control_plane.store import database as database_adapter
from serving.adapters import redis as redis_adapter
from serving.contract.errors import Unavailable


async def test_redis_is_reached_by_its_settings(redis_server):
    async with redis_adapter.connect(redis_server.settings()) as client:
        assert await client.ping()


async def test_postgres_is_reached_by_its_settings(database):
    async with database_adapter.connect(database.settings()) as connected:
        await connected.answers()


def test_postgres_is_not_reached_without_its_password(database):
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(database.url, password="another")


async def test_stores_that_cannot_prove_who_they_are_are_not_spoken_to(redis_server, database):
    """By TCP; on a socket below a private folder there is nobody else."""
    if redis_server.settings().address.socket is None:
        stranger = redis_server.settings(ca_file=None)
        async with redis_adapter.connect(stranger) as client:
            with pytest.raises(redis_adapter.StoreUnavailable), redis_adapter.our_errors():
                await client.ping()
        url = database.url.partition("&sslrootcert=")[0]
        async with database_adapter.connect(database.settings(url=url)) as connected:
            with pytest.raises(Unavailable):
                await connected.answers()

"""A migrated database on the real PostgreSQL, and the control plane on it."""

import httpx
import pytest
from sqlalchemy import text

from control_plane.app import build
from control_plane.bootstrap import bootstrap
from control_plane.login.settings import LoginSettings
from control_plane.migrations import migrate
from control_plane.plane import ControlPlane
from control_plane.settings import ControlSettings
from control_plane.store import policy_log
from control_plane.store.database import connect
from serving.adapters import redis
from serving.identity.identify import open_verifier

PEPPER = b"p" * 32
# Children before parents.
EMPTIED = (
    *("policy_documents", "policy_changes", "policy_versions", "audit_log"),
    *("users", "issuers", "keys", "projects", "guardrails", "tenants", "models"),
)


@pytest.fixture(scope="session")
async def the_control_database(postgres_server):
    with postgres_server.new_database() as made:
        async with connect(made.settings(pool_size=6)) as database:
            await migrate(database.engine)
            yield database


@pytest.fixture
async def control_database(the_control_database):
    """The control plane's database, with no rows."""
    async with the_control_database.session() as session:
        # Else a trigger keeps the audit log as it is.
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        for table in EMPTIED:
            await session.execute(text(f"DELETE FROM {table}"))
        await policy_log.begin_epoch(session)
    return the_control_database


@pytest.fixture(scope="session")
async def the_plane(the_control_database, redis_server):
    async with (
        redis.connect(redis_server.settings()) as store,
        open_verifier(PEPPER) as verifier,
    ):
        settings = ControlSettings(max_body_bytes=65536)
        yield ControlPlane(settings, PEPPER, the_control_database, store, verifier, LoginSettings())


@pytest.fixture(scope="session")
def the_api(the_plane):
    return build(the_plane)


@pytest.fixture
def plane(the_plane, control_database):
    """A control plane with nothing in its database."""
    assert the_plane.database is control_database
    return the_plane


@pytest.fixture
async def owner_key(plane):
    """The key that the first start makes."""
    async with plane.database.session() as session:
        return await bootstrap(session, plane.settings, plane.pepper)


@pytest.fixture
def client_of(the_api, control_database):
    """Makes clients, each with a key or without one."""
    transport = httpx.ASGITransport(the_api, raise_app_exceptions=False)

    def make(key=None):
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return httpx.AsyncClient(transport=transport, base_url="http://control", headers=headers)

    return make


@pytest.fixture
def owner(client_of, owner_key):
    """A client with the owner's key."""
    return client_of(owner_key)


@pytest.fixture
def client_with(client_of, owner):
    """Makes a key as the owner, and a client with it."""

    async def make(**fields):
        reply = await owner.post("/v1/keys", json={"name": "k", **fields})
        assert reply.status_code == 201, reply.text
        return client_of(reply.json()["key"])

    return make


@pytest.fixture
async def acme(owner):
    """Tenant `acme` with project `acme/web`, beside tenant `other` with `other/web`."""
    for tenant in ("acme", "other"):
        for path, id_ in (("tenants", tenant), ("projects", f"{tenant}/web")):
            reply = await owner.post(f"/v1/{path}", json={"id": id_, "name": id_})
            assert reply.status_code == 201, reply.text

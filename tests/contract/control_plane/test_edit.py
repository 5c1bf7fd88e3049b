"""Edits on the real PostgreSQL: table, audit log and change log say the same, in order."""

import asyncio

import pytest
import structlog
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from control_plane.policy_copy import PolicyCopy
from control_plane.store import policy_log
from control_plane.store.edit import begin, find
from control_plane.store.keys import touch_keys
from control_plane.store.tables import audit_log, keys, policy_versions, tenants
from serving.contract.errors import Conflict
from serving.contract.permissions import Role
from serving.contract.policy import Issuer, Key, Limits, Secret, Settings, Tenant, User, Version

ACME = Tenant("acme", "Acme", limits=Limits(requests_per_minute=60))
OWNER = Key("aaaaaaaaaa", "owner", Role.OWNER, (Secret("d1"),))


@pytest.fixture
def edited(control_database):
    """Puts documents, each in a transaction of its own."""

    async def put(*documents, actor="key:1"):
        for document in documents:
            async with control_database.session() as session:
                await (await begin(session, actor)).put(document, action="create")

    return put


async def all_of(database, table):
    async with database.session() as session:
        return (await session.execute(select(table))).all()


async def test_a_document_is_read_as_it_was_put(control_database, edited):
    documents = (
        ACME,
        Issuer("https://idp.test", "conch", roles={"boss": Role.ADMIN}, tenant="acme"),
        User("u1", "https://idp.test", "7", "a@b.c", Role.VIEWER, tenant="acme"),
        Key("bbbbbbbbbb", "k", Role.SERVICE, (Secret("d", 5.5),), expires_at=1e9, cidrs=("::/0",)),
        Settings(temperature=0.5),
    )
    await edited(*documents)
    async with control_database.session() as session:
        for document in documents:
            assert await find(session, type(document), document.id) == document
        assert await find(session, Tenant, "other") is None


async def test_a_write_is_in_table_audit_log_and_change_log(control_database, edited):
    with structlog.contextvars.bound_contextvars(request_id="req_1"):
        await edited(ACME, actor="key:boss")
    (row,) = await all_of(control_database, tenants)
    assert (row.id, row.limits["requests_per_minute"]) == ("acme", 60)
    (entry,) = await all_of(control_database, audit_log)
    assert (entry.actor, entry.action, entry.kind, entry.target, entry.tenant) == (
        "key:boss", "create", "tenant", "acme", "acme",
    )  # fmt: skip
    assert (entry.before, entry.after["name"], entry.request_id) == (None, "Acme", "req_1")
    (version,) = await all_of(control_database, policy_versions)
    assert (version.version, version.actor, version.summary) == (
        1, "key:boss", "create tenant acme",
    )  # fmt: skip


async def test_what_changes_nothing_makes_no_version(control_database, edited):
    await edited(ACME, ACME)
    assert len(await all_of(control_database, policy_versions)) == 1
    assert len(await all_of(control_database, audit_log)) == 1


async def test_what_is_rolled_back_leaves_nothing(control_database):
    async def put_and_fail():
        async with control_database.session() as session:
            await (await begin(session, "key:1")).put(ACME, action="create")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await put_and_fail()
    for table in (tenants, audit_log, policy_versions):
        assert await all_of(control_database, table) == []


async def test_parallel_edits_get_versions_without_gaps(control_database, edited):
    await asyncio.gather(*(edited(Tenant(f"t{n}", "T")) for n in range(20)))
    versions = await all_of(control_database, policy_versions)
    assert sorted(row.version for row in versions) == list(range(1, 21))


async def test_no_secret_is_in_the_audit_log(control_database, edited):
    await edited(OWNER)
    (entry,) = await all_of(control_database, audit_log)
    assert entry.after["secrets"] == [{"expires_at": None}]
    assert "d1" not in str(entry)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_log SET actor = 'me'", "DELETE FROM audit_log", "TRUNCATE audit_log"],
)
async def test_the_audit_log_cannot_be_changed(control_database, edited, statement):
    await edited(ACME)
    with pytest.raises(DBAPIError, match="append-only"):
        async with control_database.session() as session:
            await session.execute(text(statement))
    assert len(await all_of(control_database, audit_log)) == 1


async def test_deltas_lead_from_any_version_to_the_snapshot(control_database, edited):
    await edited(ACME, Tenant("b", "B"), Tenant("acme", "Acme & Co"))
    async with control_database.session() as session:
        await (await begin(session, "key:1")).remove(Tenant("b", "B"), action="delete")
    async with control_database.session(is_snapshot=True) as session:
        newest = await policy_log.version(session)
        whole = await policy_log.snapshot(session)
        deltas = await policy_log.deltas(session, Version(newest.epoch, 1), limit=9)
        assert await policy_log.deltas(session, newest, limit=9) == []
    assert (newest.number, whole.version) == (4, newest)
    assert [delta.version.number for delta in deltas] == [2, 3, 4]
    assert [change.document is None for delta in deltas for change in delta.changes] == [
        False, False, True,
    ]  # fmt: skip
    assert [change.id for change in whole.documents] == ["acme"]


async def test_the_copy_follows_every_commit(control_database, edited):
    copy = PolicyCopy()
    async with control_database.session() as session:
        assert (await copy.fresh(session)).tenant("acme") is None
    await edited(ACME, OWNER)
    async with control_database.session() as session:
        directory = await copy.fresh(session)
        assert (directory.tenant("acme"), directory.key(OWNER.id)) == (ACME, OWNER)
        await policy_log.begin_epoch(session)
    async with control_database.session() as session:
        again = await copy.fresh(session)
        assert again is not directory
        assert again.version.number == 2


@pytest.mark.parametrize(
    "lesser",
    [
        Key(OWNER.id, "owner", Role.ADMIN, OWNER.secrets),
        Key(OWNER.id, "owner", Role.OWNER, OWNER.secrets, is_active=False),
        Key(OWNER.id, "owner", Role.OWNER, OWNER.secrets, expires_at=9e9),
        Key(OWNER.id, "owner", Role.OWNER, OWNER.secrets, scopes=("usage:read",)),
        Key(OWNER.id, "owner", Role.OWNER, OWNER.secrets, tenant="acme"),
    ],
)
async def test_the_last_owner_stays(control_database, edited, lesser):
    await edited(ACME, OWNER)
    with pytest.raises(Conflict, match="without an owner"):
        await edited(lesser)
    another = Key("cccccccccc", "second", Role.OWNER, (Secret("d2"),))
    await edited(another, lesser)


async def test_the_last_use_of_a_key_only_moves_forward(control_database, edited):
    await edited(OWNER)
    for times in ({OWNER.id: 100.5}, {OWNER.id: 99.0, "unknown": 7.0}, {}):
        async with control_database.session() as session:
            await touch_keys(session, times)
    (row,) = await all_of(control_database, keys)
    assert row.last_used_at == 100.5
    assert len(await all_of(control_database, policy_versions)) == 1

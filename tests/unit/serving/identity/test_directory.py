"""The policy in memory: found by id, taken from version to version, never half changed."""

import tracemalloc

import pytest
from structlog.testing import capture_logs

from serving.contract.guardrails import GuardrailPolicy
from serving.contract.permissions import Role
from serving.contract.policy import (
    Change,
    Delta,
    Issuer,
    Key,
    Limits,
    Model,
    Price,
    Project,
    Secret,
    Settings,
    Snapshot,
    Tenant,
    User,
    Version,
)
from serving.guardrails.default_policy import DEFAULT, OFF
from serving.identity.directory import Directory, OutOfOrder
from serving.identity.documents import change_of, encode

KEY = Key("k", "a key", Role.SERVICE, (Secret("d"),), tenant="t", project="t/p")
ANN = User("u1", "https://id", "ann", "ann@example.org", Role.ADMIN)
DOCUMENTS = (
    Tenant("t", "Team"),
    Project("t/p", "t", "Project"),
    KEY,
    ANN,
    Issuer("https://id", "conch"),
    Model("demo", Price(1, 2, 3)),
    Settings(max_tokens=7),
)
MEMORY = 20e6


def version(number, epoch="e"):
    return Version(epoch, number)


@pytest.fixture
def directory():
    return Directory.of(Snapshot(version(5), tuple(map(change_of, DOCUMENTS))))


def changed(number, *changes, epoch="e"):
    return Delta(version(number, epoch), changes)


def test_every_document_is_found_by_its_id(directory):
    found = (
        directory.tenant("t"),
        directory.project("t/p"),
        directory.key("k"),
        directory.user_by_id("u1"),
        directory.issuer("https://id"),
        directory.model("demo"),
        directory.settings,
    )
    assert found == DOCUMENTS
    assert directory.documents() == DOCUMENTS
    assert directory.each(Key) == (KEY,)


def test_a_person_is_found_by_what_the_issuer_calls_them(directory):
    assert directory.user("https://id", "ann") == ANN
    assert directory.user("https://other", "ann") is None


def test_what_nothing_is_said_of_has_defaults():
    empty = Directory(version(0))
    assert empty.model("x") == Model("x")
    assert empty.settings == Settings()
    assert (empty.key("k"), empty.tenant("t"), empty.user_by_id("u")) == (None, None, None)


def test_a_delta_puts_and_removes(directory):
    ben = User("u2", "https://id", "ben", "", Role.VIEWER)
    directory.apply(changed(6, change_of(ben), Change("key", "k", None)))
    assert directory.version == version(6)
    assert directory.key("k") is None
    assert directory.user("https://id", "ben") == ben


def test_a_person_whose_subject_changed_is_not_found_by_the_old_one(directory):
    renamed = User("u1", "https://id", "anna", "", Role.ADMIN)
    directory.apply(changed(6, change_of(renamed)))
    assert directory.user("https://id", "ann") is None
    assert directory.user("https://id", "anna") == renamed


def test_a_subject_that_went_to_another_person_stays_with_them(directory):
    heir = User("u2", "https://id", "ann", "", Role.VIEWER)
    directory.apply(changed(6, change_of(heir), Change("user", "u1", None)))
    assert directory.user("https://id", "ann") == heir


@pytest.mark.parametrize("late", [version(5), version(7), version(6, "other")])
def test_only_the_next_version_of_the_epoch_is_taken(directory, late):
    with pytest.raises(OutOfOrder):
        directory.apply(Delta(late, (Change("key", "k", None),)))
    assert directory.version == version(5)
    assert directory.key("k") == KEY


def test_what_a_newer_version_publishes_does_not_stop_the_rest(directory):
    unknown = Change("starship", "s", b"{}")
    stranger = Change("key", "k", encode(KEY).replace(b"service", b"emperor"))
    with capture_logs() as logs:
        directory.apply(changed(6, unknown, stranger, change_of(Tenant("new", "New"))))
    assert directory.tenant("new") is not None
    assert directory.key("k") is None  # it cannot be read, so it opens nothing
    assert [entry["event"] for entry in logs] == ["policy_document_ignored"]


def test_ten_thousand_keys_of_a_thousand_tenants_fit_their_memory():
    snapshot = Snapshot(version(1), tuple(_many(keys=10_000, tenants=1_000)))
    tracemalloc.start()
    try:
        directory = Directory.of(snapshot)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(directory.each(Key)) == 10_000
    assert used < MEMORY, f"{used / 1e6:.1f} MB"


def _many(*, keys, tenants):
    for number in range(tenants):
        limits = Limits(requests_per_minute=60 + number % 7)
        yield change_of(Tenant(f"tenant-{number}", f"Team {number}", limits=limits))
        yield change_of(Project(f"tenant-{number}/p", f"tenant-{number}", "A project"))
    for number in range(keys):
        tenant = f"tenant-{number % tenants}"
        secret = Secret(f"{number:064x}", expires_at=2e9 + number)
        yield change_of(
            Key(
                f"key{number:07}",
                f"key number {number}",
                Role.SERVICE,
                (secret,),
                tenant=tenant,
                project=f"{tenant}/p",
                limits=Limits(tokens_per_day=number % 11),
                models=("demo", "large"),
            )
        )


STRICT = GuardrailPolicy("t/strict", tenant="t")


def guarded(**said):
    project = Project("t/p", "t", "Project", guardrails=said.get("project"))
    tenant = Tenant("t", "Team", guardrails=said.get("tenant"))
    settings = Settings(guardrails=said.get("settings", "default"))
    documents = (project, tenant, settings, STRICT)
    return Directory.of(Snapshot(version(1), tuple(map(change_of, documents))))


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({}, DEFAULT),
        ({"settings": "off"}, OFF),
        ({"settings": "off", "tenant": "t/strict"}, STRICT),
        ({"project": "default", "tenant": "t/strict"}, DEFAULT),
    ],
)
def test_the_nearest_guardrails_count(said, found):
    assert guarded(**said).guardrails_of("t/p") == found


def test_a_project_that_is_not_there_is_guarded_as_the_settings_say():
    assert guarded(settings="off").guardrails_of("t/other") is OFF


def test_guardrails_that_are_not_there_are_the_default_ones_and_told_once():
    directory = guarded(project="t/gone")
    with capture_logs() as logs:
        assert [directory.guardrails_of("t/p") for _ in range(3)] == [DEFAULT] * 3
    assert [entry["event"] for entry in logs] == ["guardrails_missing"]
    assert logs[0]["id"] == "t/gone"

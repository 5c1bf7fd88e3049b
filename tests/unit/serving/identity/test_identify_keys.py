"""API keys against the policy as it is at the moment of each request."""

import hmac
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from identities import ACME, NOW, PEPPER, credentials, directory_of, key_of, put, remove, stranger

from serving.contract.api_keys import digest, new_key, parse
from serving.contract.errors import Forbidden, Unauthenticated
from serving.contract.permissions import ROLE_PERMISSIONS, Permission, Role
from serving.contract.policy import Key, Limits, Project, Secret, Tenant
from serving.contract.principal import Principal
from serving.identity import identify as identity
from serving.identity.directory import Directory
from serving.identity.guesses import Guesses
from serving.identity.identify import Credentials, Verifier, identify

FULL = os.environ.get("CONCH_TEST_SCALE") == "full"
PATIENT = Guesses(at_once=1_000_000)


class Door:
    """A directory and a verifier that has seen the key in question, and let it in."""

    def __init__(self, presented: Credentials, key: Key) -> None:
        self.directory = directory_of(*ACME, key)
        self.verifier = stranger(PATIENT)
        self.presented = presented

    async def opens(self, presented: Credentials | None = None, now: float = NOW) -> Principal:
        return await identify(presented or self.presented, self.directory, self.verifier, now)


async def door(**fields: object) -> tuple[Door, Key]:
    presented, key = key_of(**{"tenant": "acme", "project": "acme/web", **fields})
    made = Door(presented, key)
    await made.opens()
    return made, key


async def test_a_key_is_who_its_document_says() -> None:
    limits = Limits(requests_per_minute=3)
    made, key = await door(role=Role.DEVELOPER, limits=limits, models=("demo",), classes=("batch",))
    assert await made.opens() == Principal(
        id=f"key:{key.id}",
        name="a key",
        role=Role.DEVELOPER,
        permissions=ROLE_PERMISSIONS[Role.DEVELOPER],
        tenant="acme",
        project="acme/web",
        limits=limits,
        models=("demo",),
        classes=("batch",),
    )


async def test_a_principal_is_made_once_for_each_version_of_its_document() -> None:
    made, key = await door()
    first = await made.opens()
    assert await made.opens() is first
    put(made.directory, replace(key, name="another name"))
    assert (await made.opens()).name == "another name"


async def test_a_revoked_key_opens_nothing() -> None:
    made, key = await door()
    put(made.directory, replace(key, is_active=False))
    with pytest.raises(Unauthenticated, match="revoked"):
        await made.opens()
    put(made.directory, key)
    assert await made.opens()


async def test_a_removed_key_opens_nothing() -> None:
    made, key = await door()
    remove(made.directory, key)
    with pytest.raises(Unauthenticated, match="not known"):
        await made.opens()


async def test_a_key_is_over_at_the_moment_it_expires() -> None:
    made, _ = await door(expires_at=NOW + 10)
    assert await made.opens(now=NOW + 9.9)
    with pytest.raises(Unauthenticated, match="expired"):
        await made.opens(now=NOW + 10)


async def test_a_rotated_key_has_two_secrets_until_the_old_one_is_over() -> None:
    made, key = await door()
    newer = new_key(key.id)
    old = replace(key.secrets[0], expires_at=NOW + 60)
    put(made.directory, replace(key, secrets=(old, Secret(digest(newer, PEPPER)))))
    for presented in (made.presented, credentials(newer.text)):
        assert (await made.opens(presented, NOW + 59)).id == f"key:{key.id}"
    with pytest.raises(Unauthenticated, match="rotated"):
        await made.opens(now=NOW + 60)
    assert await made.opens(credentials(newer.text), NOW + 60)


async def test_a_secret_that_was_taken_away_opens_nothing() -> None:
    made, key = await door()
    put(made.directory, replace(key, secrets=(Secret(digest(new_key(key.id), PEPPER)),)))
    with pytest.raises(Unauthenticated, match="not known"):
        await made.opens()


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (Tenant("acme", "Acme", is_active=False), "tenant 'acme' is not active"),
        (Project("acme/web", "acme", "Web", is_active=False), "project 'acme/web' is not active"),
        (Project("acme/web", "globex", "Web"), "project 'acme/web' is not active"),
    ],
)
async def test_a_key_goes_with_its_tenant_and_project(document, says) -> None:
    made, _ = await door()
    put(made.directory, document)
    with pytest.raises(Unauthenticated, match=says):
        await made.opens()
    put(made.directory, *ACME)
    assert await made.opens()


@pytest.mark.parametrize("binding", [{"tenant": "none"}, {"tenant": None}])
async def test_a_key_of_nothing_that_is_there_opens_nothing(binding) -> None:
    presented, key = key_of(project="acme/web", **binding)
    with pytest.raises(Unauthenticated):
        await Door(presented, key).opens()


async def test_a_key_of_the_organisation_is_bound_to_nothing() -> None:
    made, _ = await door(role=Role.OWNER, tenant=None, project=None)
    assert (await made.opens()).tenant is None


@pytest.mark.parametrize(
    ("address", "is_inside"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("2001:db8::1", True),
        ("11.1.2.3", False),
        ("::ffff:11.1.2.3", False),
        ("2001:db9::1", False),
        ("", False),
        ("10.1.2", False),
        (None, False),
    ],
)
async def test_a_key_of_networks_opens_from_there_only(address: str | None, is_inside) -> None:
    presented, key = key_of(cidrs=("10.0.0.0/8", "2001:db8::/32"))
    made = Door(presented, key)
    from_there = Credentials(presented.authorization, address)
    if is_inside:
        assert await made.opens(from_there)
        put(made.directory, replace(key, cidrs=("192.0.2.0/24",)))
    with pytest.raises(Forbidden, match="networks"):
        await made.opens(from_there)


async def test_a_scope_of_a_newer_version_gives_nothing() -> None:
    made, _ = await door(scopes=("inference", "time:travel"))
    assert (await made.opens()).permissions == {Permission.INFERENCE}


async def test_what_is_wrong_is_told_only_to_who_has_the_secret() -> None:
    made, key = await door(is_active=True)
    put(made.directory, replace(key, is_active=False))
    right = made.presented.authorization
    assert right is not None
    unknown, wrong = new_key().text, new_key(key.id).text
    messages = set()
    for text in (unknown, wrong, "sk-anything", "ck_live_", unknown + "x", f"{wrong} x", "ü"):
        with pytest.raises(Unauthenticated) as refused:
            await made.opens(credentials(text))
        messages.add(refused.value.message)
    assert len(messages) == 1
    with pytest.raises(Unauthenticated, match="revoked"):
        await made.opens()


@pytest.mark.parametrize(
    "header", [None, b"", b"Bearer", b"Bearer  ", b"Basic x", b"ck_live_x", b"Bearer\xff", b"\0"]
)
async def test_a_header_without_a_bearer_is_told_what_to_send(header: bytes | None) -> None:
    made, _ = await door()
    with pytest.raises(Unauthenticated, match="Authorization: Bearer"):
        await made.opens(Credentials(header, "10.0.0.1"))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often the real functions that see secrets were called."""
    counts = {"digests": 0, "comparisons": 0}

    def counting(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            counts[name] += 1
            return real(*arguments)

        return call

    monkeypatch.setattr("serving.identity.keys.digest", counting("digests", digest))
    monkeypatch.setattr(hmac, "compare_digest", counting("comparisons", hmac.compare_digest))
    return counts


async def test_an_unknown_id_costs_the_same_work_as_a_known_one(counted: dict[str, int]) -> None:
    made, key = await door()
    _, revoked = key_of(is_active=False)
    _, rotated = key_of()
    rotated = replace(rotated, secrets=(*rotated.secrets, Secret("f" * 64)))
    put(made.directory, revoked, rotated)
    work = set()
    for key_id in (key.id, revoked.id, rotated.id, None):
        counted.update(digests=0, comparisons=0)
        with pytest.raises(Unauthenticated):
            await made.opens(credentials(new_key(key_id).text))
        work.add(tuple(counted.items()))
    assert work == {(("digests", 1), ("comparisons", 2))}


async def test_a_key_that_was_seen_costs_no_more_digests(counted: dict[str, int]) -> None:
    made, _ = await door()
    counted.update(digests=0, comparisons=0)
    for _ in range(3):
        await made.opens()
    assert counted == {"digests": 0, "comparisons": 0}


async def test_how_long_a_guess_takes_tells_nothing_of_the_id() -> None:
    """Coarse by default; the paths themselves are compared above."""
    made, key = await door()
    rounds, within = (4000, 1.1) if FULL else (400, 1.5)
    times: dict[str, list[int]] = {"known": [], "unknown": []}
    for _ in range(rounds):
        for name, key_id in (("known", key.id), ("unknown", None)):
            guess = credentials(new_key(key_id).text)
            began = time.perf_counter_ns()
            with pytest.raises(Unauthenticated):
                await made.opens(guess)
            times[name].append(time.perf_counter_ns() - began)
    known, unknown = (statistics.median(each) for each in times.values())
    assert 1 / within < known / unknown < within


async def test_a_key_that_was_seen_costs_little() -> None:
    """A bound that no machine misses by chance; a few microseconds are usual."""
    made, _ = await door(cidrs=("192.0.2.0/24",))
    best_s = min([await _cpu_s(made) for _ in range(5)])
    assert best_s < 20e-6


async def _cpu_s(made: Door, calls: int = 400) -> float:
    began = time.process_time()
    for _ in range(calls):
        await made.opens()
    return (time.process_time() - began) / calls


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "REMEMBERED", 3)
    verifier: Verifier = stranger()
    made = [key_of() for _ in range(5)]
    directory: Directory = directory_of(*(key for _, key in made))
    for _ in range(2):
        for presented, _key in made:
            assert await identify(presented, directory, verifier, NOW)
    assert len(verifier._proofs) == 3


async def test_nothing_of_a_key_is_remembered_in_the_clear() -> None:
    made, _ = await door()
    assert made.presented.authorization is not None
    text = made.presented.authorization.decode().removeprefix("Bearer ")
    shown = parse(text)
    assert shown is not None
    assert shown.secret not in repr(made.verifier._proofs._entries)

"""JWT bearer tokens, against an OpenID provider that answers over HTTP."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import httpx
import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from identities import ACME, ADDRESS, PEPPER, credentials, directory_of, put, remove
from local_issuer import AUDIENCE, LocalIssuer, Signer, rsa_key, running

from serving.adapters import oidc
from serving.contract.errors import AddressLimited, ConchError, Unauthenticated, Unavailable
from serving.contract.permissions import Role
from serving.contract.policy import Issuer, Project, Tenant, User
from serving.contract.principal import Principal
from serving.identity.directory import Directory
from serving.identity.guesses import Guesses
from serving.identity.identify import Verifier, identify
from serving.identity.issuer_keys import MIN_S, RETRY_S, STALE_S, Issuers
from serving.identity.jwk import ALGORITHMS
from serving.identity.tokens import MOST_BYTES, SKEW_S

ALL = tuple(ALGORITHMS)
FORGERIES = 2000 if os.environ.get("CONCH_TEST_SCALE") == "full" else 50


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Door:
    """A gateway's knowledge of one issuer, whose only person is `ann`, a developer of acme."""

    issuer: LocalIssuer
    document: Issuer
    directory: Directory
    verifier: Verifier
    clock: Clock
    ann: User

    async def opens(self, token: str, now: float | None = None) -> Principal:
        now = time.time() if now is None else now
        return await identify(credentials(token), self.directory, self.verifier, now)

    async def refuses(self, token: str, says: str = "") -> None:
        with pytest.raises(Unauthenticated, match=says or None):
            await self.opens(token)


@pytest.fixture(scope="module")
async def shared_issuer():
    async with running() as issuer:
        yield issuer


@pytest.fixture
async def issuer(request, shared_issuer):
    """A parameter is the path that its `iss` ends in; such a one is there for its test alone."""
    shared_issuer.reset()
    async with AsyncExitStack() as stack:
        path = getattr(request, "param", None)
        yield await stack.enter_async_context(running(path)) if path else shared_issuer


@pytest.fixture(scope="module")
async def client():
    async with oidc.connect() as client:
        yield client


@pytest.fixture
async def door(issuer, client):
    document = Issuer(issuer.url, AUDIENCE, ALL)
    ann = User("u1", issuer.url, "ann", "ann@acme.test", Role.DEVELOPER, "acme", "acme/web")
    clock = Clock()
    verifier = Verifier(PEPPER, Issuers(client, clock), Guesses(at_once=10_000))
    return Door(issuer, document, directory_of(*ACME, document, ann), verifier, clock, ann)


async def test_a_token_speaks_for_the_user_of_its_subject(door: Door) -> None:
    principal = await door.opens(door.issuer.token())
    assert (principal.id, principal.name) == ("user:u1", "ann@acme.test")
    assert (principal.tenant, principal.project) == ("acme", "acme/web")
    assert principal.role is Role.DEVELOPER


@pytest.mark.parametrize("algorithm", ALL)
async def test_every_asymmetric_algorithm_is_taken(door: Door, algorithm: str) -> None:
    door.issuer.rotate(Signer("k", algorithm))
    assert await door.opens(door.issuer.token())


@pytest.mark.parametrize("issuer", ["", "/", "/realms/acme", "/realms/acme/"], indirect=True)
async def test_an_issuer_is_found_with_and_without_a_path(door: Door) -> None:
    assert await door.opens(door.issuer.token())


@pytest.mark.parametrize("issuer", ["", "/"], indirect=True)
async def test_a_slash_more_or_less_is_another_issuer(door: Door) -> None:
    url = door.issuer.url
    other = url.rstrip("/") if url.endswith("/") else f"{url}/"
    await door.refuses(door.issuer.token(iss=other), "no issuer that is trusted")
    # Nor does the provider vouch for the other one, where that is trusted too.
    put(door.directory, replace(door.document, id=other))
    with pytest.raises(Unavailable):
        await door.opens(door.issuer.token(iss=other))


def _segment(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _signed(door: Door, claims: object, **header: object) -> str:
    """With the issuer's own key, whatever the header says."""
    body = f"{_segment(header)}.{_segment(claims)}"
    sign = jwt.get_algorithm_by_name("ES256").sign
    return f"{body}.{_segment(sign(body.encode(), door.issuer.signer.key))}"


def _pem(signer: Signer) -> bytes:
    return signer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _hmac_signed(claims: object, secret: bytes, **header: object) -> str:
    body = f"{_segment({'typ': 'JWT', **header})}.{_segment(claims)}"
    return f"{body}.{_segment(hmac.new(secret, body.encode(), hashlib.sha256).digest())}"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, 0, ["RS256"]])
async def test_an_unsigned_token_is_refused(door: Door, alg: object) -> None:
    body = f"{_segment({'alg': alg, 'kid': 'k1'})}.{_segment(door.issuer.claims_for())}"
    for signature in ("", _segment(b"x" * 64), door.issuer.token().rpartition(".")[2]):
        await door.refuses(f"{body}.{signature}")


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
async def test_the_public_key_is_no_secret_to_sign_with(door: Door, alg: str) -> None:
    door.issuer.rotate(Signer("k1", "RS256"))
    # Not even where the document of the issuer was made to allow it.
    put(door.directory, replace(door.document, algorithms=(*ALL, alg)))
    signer = door.issuer.signer
    # Nor where the key leaves open what it is for.
    door.issuer.jwks = [{name: part for name, part in signer.jwk.items() if name != "alg"}]
    secrets_ = (_pem(signer), _pem(signer).strip(), orjson.dumps(signer.jwk), b"")
    for secret in secrets_:
        await door.refuses(_hmac_signed(door.issuer.claims_for(), secret, alg=alg, kid="k1"))
        await door.refuses(_hmac_signed(door.issuer.claims_for(), secret, alg="RS256", kid="k1"))


async def test_a_symmetric_key_in_the_set_is_no_key(door: Door) -> None:
    secret = b"s" * 32
    door.issuer.jwks = [{"kty": "oct", "kid": "k1", "k": _segment(secret), "alg": "HS256"}]
    put(door.directory, replace(door.document, algorithms=(*ALL, "HS256")))
    await door.refuses(_hmac_signed(door.issuer.claims_for(), secret, alg="HS256", kid="k1"))


async def test_an_algorithm_that_the_document_does_not_name_is_refused(door: Door) -> None:
    put(door.directory, replace(door.document, algorithms=("RS256",)))
    await door.refuses(door.issuer.token(), "may not be signed")
    put(door.directory, door.document)
    assert await door.opens(door.issuer.token())


async def test_a_key_is_used_with_its_own_kind_of_algorithm_only(door: Door) -> None:
    """The id of one key, the algorithm of another: no key fits, whatever was signed."""
    door.issuer.rotate(Signer("rsa", "RS256"))
    door.issuer.rotate(Signer("ec", "ES256"), keep=True)
    assert await door.opens(door.issuer.token())
    claims = door.issuer.claims_for()
    await door.refuses(Signer("rsa", "ES256", door.issuer.signer.key).sign(claims))
    await door.refuses(Signer("ec", "RS256", rsa_key()).sign(claims))
    # And a key that names its algorithm is for no other one, though it could be.
    await door.refuses(Signer("rsa", "PS256", rsa_key()).sign(claims))


async def test_a_curve_of_another_algorithm_is_refused(door: Door) -> None:
    signer = Signer("k1", "ES384")
    door.issuer.jwks = [{**signer.jwk, "alg": "ES256"}]
    await door.refuses(signer.sign(door.issuer.claims_for()))


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
async def test_keys_that_a_token_brings_along_are_not_looked_at(door: Door, name: str) -> None:
    mallory = Signer("k1", "ES256")
    async with running() as elsewhere:
        elsewhere.rotate(mallory)
        values = {
            "jwk": mallory.jwk,
            "jku": f"{elsewhere.url}/jwks",
            "x5u": f"{elsewhere.url}/jwks",
            "x5c": [_segment(_pem(mallory))],
        }
        for key_id in ("k1", "new", None):
            forged = Signer(key_id, "ES256", mallory.key)
            await door.refuses(forged.sign(door.issuer.claims_for(), **{name: values[name]}))
        assert not elsewhere.calls


@pytest.mark.parametrize(
    "key_id",
    ["../../etc/passwd", "' OR 1=1 --", "k1\0", "K1", "k1 ", "", "x" * 5000, 1, ["k1"], {}],
)
async def test_the_id_of_a_key_finds_that_key_or_none(door: Door, key_id: object) -> None:
    await door.refuses(_signed(door, door.issuer.claims_for(), alg="ES256", kid=key_id))


async def test_a_token_without_the_id_of_a_key_is_tried_with_those_that_fit(door: Door) -> None:
    door.issuer.rotate(Signer("other", "ES256"))
    door.issuer.rotate(Signer(None, "ES256"), keep=True)
    assert await door.opens(door.issuer.token())


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"aud": "another"}, "not for the audience 'conch'"),
        ({"aud": ["another", "third"]}, "not for the audience"),
        ({"aud": None}, ""),
        ({"aud": "Conch"}, "not for the audience"),
        ({"aud": [["conch"]]}, ""),
        ({"iss": "https://another.test"}, "no issuer that is trusted"),
        ({"iss": None}, ""),
        ({"exp": None}, "'exp'"),
        ({"iat": None}, "'iat'"),
        ({"exp": "soon"}, ""),
        ({"exp": True}, ""),
        ({"exp": 1e400}, ""),
        ({"iat": "now"}, ""),
        ({"sub": None}, ""),
        ({"sub": ""}, ""),
        ({"sub": 7}, ""),
        ({"sub": "a" * 256}, ""),
        ({"sub": "ann\n"}, ""),
        ({"sub": "ann\ud800"}, ""),
        ({"sub": "bob"}, "not known here"),
        ({"sub": "Ann"}, "not known here"),
    ],
)
async def test_claims_that_are_not_right_are_refused(door: Door, claims, says: str) -> None:
    await door.refuses(door.issuer.token(**claims), says)


async def test_several_issuers_are_none(door: Door) -> None:
    claims = {**door.issuer.claims_for(), "iss": [door.issuer.url]}
    await door.refuses(_signed(door, claims, alg="ES256", kid="k1"))


async def test_one_audience_of_several_is_enough(door: Door) -> None:
    assert await door.opens(door.issuer.token(aud=["another", AUDIENCE]))


@pytest.mark.parametrize(
    ("claim", "late_s", "is_good"),
    [
        ("exp", SKEW_S - 10, True),
        ("exp", SKEW_S + 1, False),
        ("iat", -SKEW_S + 10, True),
        ("iat", -SKEW_S - 10, False),
        ("nbf", -SKEW_S + 10, True),
        ("nbf", -SKEW_S - 10, False),
    ],
)
async def test_clocks_may_differ_by_a_minute(door: Door, claim, late_s: float, is_good) -> None:
    now = int(time.time())
    times = {"iat": now - 3600, "exp": now + 3600} | {claim: now - late_s}
    token = door.issuer.token(**times)
    if is_good:
        assert await door.opens(token, now)
    else:
        await door.refuses(token, "expired" if claim == "exp" else "not valid yet")


async def test_a_token_that_ends_before_it_begins_is_refused(door: Door) -> None:
    now = int(time.time())
    await door.refuses(door.issuer.token(iat=now, exp=now - 1))


async def test_not_before_does_for_when_it_was_made(door: Door) -> None:
    assert await door.opens(door.issuer.token(iat=None, nbf=int(time.time())))


async def test_a_token_is_over_although_it_was_seen_before(door: Door) -> None:
    now = time.time()
    token = door.issuer.token(exp=int(now) + 300)
    assert await door.opens(token, now)
    with pytest.raises(Unauthenticated, match="expired"):
        await door.opens(token, now + 300 + SKEW_S)


@pytest.mark.parametrize("type_", ["logout+jwt", "dpop+jwt", "secevent+jwt", 7, ["JWT"]])
async def test_a_token_for_something_else_is_refused(door: Door, type_: object) -> None:
    claims = door.issuer.claims_for()
    await door.refuses(_signed(door, claims, alg="ES256", kid="k1", typ=type_))


@pytest.mark.parametrize("more", [{}, *({"typ": t} for t in ("JWT", "jwt", "application/at+jwt"))])
async def test_the_usual_types_are_taken(door: Door, more) -> None:
    claims = door.issuer.claims_for()
    assert await door.opens(_signed(door, claims, alg="ES256", kid="k1", **more))


async def test_an_extension_that_we_must_understand_is_refused(door: Door) -> None:
    for header in ({"crit": ["b64"], "b64": True}, {"crit": ["exp"]}, {"crit": []}):
        claims = door.issuer.claims_for()
        await door.refuses(_signed(door, claims, alg="ES256", kid="k1", **header))


async def test_a_header_as_deep_as_can_be_is_no_defect(door: Door) -> None:
    for depth in (900, 1010, 1100, 5000):
        header = _segment(b'{"alg":"ES256","kid":"k1","x":' + b"[" * depth + b"]" * depth + b"}")
        claims = _segment(door.issuer.claims_for())
        await door.refuses(f"{header}.{claims}.{_segment(b'x' * 64)}")


@pytest.mark.parametrize(
    "text",
    [
        "a.b.c", "..", "a.b", "a.b.c.d.e", "x.y.z.", "." * 1000,
        _segment([]) + "." + _segment({}) + ".x",
        _segment({"alg": "ES256"}) + "." + _segment("x") + ".x",
        _segment(b"\xff") + ".e30.x",
        _segment(b"[" * 6000) + ".e30.x",
        _segment(b'{"alg":' + b"[" * 900 + b"]" * 900 + b"}") + ".e30.x",
        "é.é.é",
    ],
)  # fmt: skip
async def test_what_is_no_token_is_refused(door: Door, text: str) -> None:
    await door.refuses(text)


async def test_a_huge_token_is_not_even_read(door: Door) -> None:
    await door.refuses(door.issuer.token(more="x" * MOST_BYTES), "no token of a form")
    assert not door.issuer.calls
    assert await door.opens(door.issuer.token(more="x" * (MOST_BYTES // 2)))


async def test_a_token_changed_by_one_letter_is_refused(door: Door) -> None:
    token = door.issuer.token()
    assert await door.opens(token)
    head, claims, signature = token.split(".")
    other = _segment({**door.issuer.claims_for("bob")})
    for forged in (f"{head}.{other}.{signature}", f"{head}.{claims}.{'A' + signature[1:]}"):
        if forged != token:
            await door.refuses(forged, "signature")


async def test_a_token_is_written_in_one_way(door: Door) -> None:
    token = door.issuer.token()
    assert await door.opens(token)
    for odd in (f"{token}=", f"{token}!", f"{token}\xe9", token.replace(".", ".=", 1), f"{token} "):
        if odd.strip() != token:
            await door.refuses(odd, "no token of a form")


async def test_a_token_in_use_is_verified_once(door: Door, monkeypatch) -> None:
    token = door.issuer.token()
    first = await door.opens(token)
    monkeypatch.delattr(jwt, "decode")
    assert await door.opens(token) is first


@pytest.mark.parametrize("is_seen", [True, False])
async def test_who_is_put_out_is_out_at_once(door: Door, is_seen: bool) -> None:
    token = door.issuer.token()
    if is_seen:
        await door.opens(token)
    put(door.directory, replace(door.ann, is_active=False))
    await door.refuses(token, "taken back")
    put(door.directory, replace(door.ann, role=Role.VIEWER))
    assert (await door.opens(token)).role is Role.VIEWER
    put(door.directory, Tenant("acme", "Acme", is_active=False))
    await door.refuses(token, "tenant")
    put(door.directory, *ACME)
    put(door.directory, Project("acme/web", "acme", "Web", is_active=False))
    await door.refuses(token, "project")
    put(door.directory, *ACME)
    assert await door.opens(token)
    remove(door.directory, door.ann)
    await door.refuses(token, "not known here")
    put(door.directory, door.ann)
    remove(door.directory, door.document)
    await door.refuses(token, "no issuer that is trusted")


async def test_a_token_is_seen_anew_when_its_issuer_changes(door: Door) -> None:
    token = door.issuer.token()
    await door.opens(token)
    put(door.directory, replace(door.document, audience="another"))
    await door.refuses(token, "audience 'another'")
    put(door.directory, replace(door.document, algorithms=("RS256",)))
    await door.refuses(token, "may not be signed")


async def test_a_user_of_another_tenant_than_its_issuers_is_refused(door: Door) -> None:
    put(door.directory, replace(door.document, tenant="acme"))
    assert await door.opens(door.issuer.token())
    for binding in ({"tenant": "globex", "project": "globex/app"}, {"tenant": None}):
        put(door.directory, replace(door.ann, **({"project": None} | binding)))
        await door.refuses(door.issuer.token(), "vouches for the tenant 'acme' only")


async def test_a_rotated_key_is_fetched_when_a_token_first_names_it(door: Door) -> None:
    old = door.issuer.token()
    await door.opens(old)
    door.issuer.rotate(Signer("k2"), keep=True)
    door.clock.now += MIN_S + 1
    assert await door.opens(door.issuer.token())
    assert await door.opens(old)


async def test_what_was_signed_with_a_withdrawn_key_is_refused(door: Door) -> None:
    token = door.issuer.token()
    await door.opens(token)
    door.issuer.rotate(Signer("k2"))
    door.clock.now += MIN_S + 1
    await door.verifier.issuers.refresh()
    await door.refuses(token, "signature")
    assert await door.opens(door.issuer.token())


async def test_forged_key_ids_cause_no_storm_of_fetches(door: Door) -> None:
    await door.opens(door.issuer.token())
    fetched = door.issuer.calls.total()
    for number in range(FORGERIES):
        forged = Signer(f"forged{number}", "ES256", door.issuer.signer.key)
        await door.refuses(forged.sign(door.issuer.claims_for()), "signature")
    assert door.issuer.calls.total() == fetched
    door.clock.now += MIN_S + 1
    forgeries = [Signer(f"more{n}").sign(door.issuer.claims_for()) for n in range(20)]
    await asyncio.gather(*(door.refuses(token, "signature") for token in forgeries))
    assert door.issuer.calls.total() == fetched + 2
    assert await door.opens(door.issuer.token())


async def test_many_at_once_share_one_fetch(door: Door) -> None:
    door.issuer.is_held.clear()
    waiting = [asyncio.create_task(door.opens(door.issuer.token(n=n))) for n in range(20)]
    while not door.issuer.calls:
        await asyncio.sleep(0)
    # One that goes away while it waits takes nobody else with it.
    waiting[0].cancel()
    door.issuer.is_held.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert {type(each) for each in found[1:]} == {Principal}
    assert door.issuer.calls["/jwks"] == 1


async def test_many_right_tokens_of_one_address_may_wait_for_the_keys_at_once(door: Door) -> None:
    verifier = Verifier(PEPPER, door.verifier.issuers, Guesses(at_once=1))
    tokens = [credentials(door.issuer.token(n=number)) for number in range(20)]
    now = time.time()
    await asyncio.gather(*(identify(each, door.directory, verifier, now) for each in tokens))


@pytest.mark.parametrize("status", [500, 404, 302, 307])
async def test_while_the_provider_is_away_its_last_keys_serve(door: Door, status: int) -> None:
    await door.opens(door.issuer.token())
    door.issuer.status = status
    for _ in range(3):
        door.clock.now += STALE_S / 4
        await door.verifier.issuers.refresh()
        assert await door.opens(door.issuer.token(now=door.clock.now))
    door.clock.now += STALE_S / 4
    with pytest.raises(Unavailable, match="cannot be fetched"):
        await door.opens(door.issuer.token(now=door.clock.now))
    door.issuer.status = 200
    door.clock.now += RETRY_S + 1
    assert await door.opens(door.issuer.token(now=door.clock.now))


async def test_a_provider_that_is_away_is_not_asked_by_everybody(door: Door) -> None:
    door.issuer.status = 503
    for number in range(20):
        with pytest.raises(Unavailable, match="try again"):
            await door.opens(door.issuer.token(n=number))
    assert door.issuer.calls.total() == 1
    door.issuer.status = 200
    door.clock.now += RETRY_S + 1
    assert await door.opens(door.issuer.token())


async def test_a_provider_that_is_away_uses_up_nobodys_guesses(door: Door) -> None:
    verifier = Verifier(PEPPER, door.verifier.issuers, Guesses(at_once=1))
    door.issuer.status = 503
    for number in range(5):
        presented = credentials(door.issuer.token(n=number))
        with pytest.raises(Unavailable):
            await identify(presented, door.directory, verifier, time.time())


async def test_forged_tokens_use_up_the_guesses_of_an_address(door: Door) -> None:
    verifier = Verifier(PEPPER, door.verifier.issuers, Guesses(at_once=3))
    errors = []
    for number in range(4):
        forged = credentials(Signer("k1").sign(door.issuer.claims_for(n=number)), ADDRESS)
        with pytest.raises(ConchError) as refused:
            await identify(forged, door.directory, verifier, time.time())
        errors.append(type(refused.value))
    assert errors == [Unauthenticated, Unauthenticated, Unauthenticated, AddressLimited]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"null", b'"x"', b"{", b"\xff", b'{"keys": 1}', b'{"keys": {}}', b"{}",
        b"[" * 100_000,
        b'{"issuer": "https://another.test", "jwks_uri": "https://another.test/jwks"}',
    ],
)  # fmt: skip
async def test_a_provider_that_talks_nonsense_is_as_good_as_away(door: Door, body: bytes) -> None:
    door.issuer.body = body
    with pytest.raises(Unavailable):
        await door.opens(door.issuer.token())


async def test_a_provider_that_never_stops_talking_is_not_listened_to(door: Door) -> None:
    whole = {"issuer": door.issuer.url, "jwks_uri": f"{door.issuer.url}/jwks"}
    body = orjson.dumps(whole | {"keys": door.issuer.jwks})
    for size, is_too_much in ((oidc.MOST_BYTES, False), (oidc.MOST_BYTES + 1, True)):
        door.clock.now += STALE_S
        door.issuer.body = body.ljust(size)
        if is_too_much:
            with pytest.raises(Unavailable):
                await door.opens(door.issuer.token(size=size))
        else:
            assert await door.opens(door.issuer.token(size=size))


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://another.test"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": 7},
        {"jwks_uri": "http://idp.test/jwks"},
        {"jwks_uri": "http://127.0.0.1.idp.test/jwks"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "https://"},
        {"jwks_uri": "https://[::1/"},
        {"jwks_uri": "http://ann:secret@127.0.0.1/jwks"},
        {"token_endpoint": "http://idp.test/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
async def test_metadata_that_cannot_be_trusted_is_not(door: Door, metadata) -> None:
    door.issuer.metadata = metadata
    with pytest.raises(Unavailable):
        await door.opens(door.issuer.token())
    assert door.issuer.calls["/jwks"] == 0


async def test_a_provider_that_hangs_is_given_up(door: Door, monkeypatch) -> None:
    monkeypatch.setattr(oidc, "TIMEOUT_S", 0.05)
    door.issuer.is_held.clear()
    with pytest.raises(Unavailable):
        await door.opens(door.issuer.token())


async def test_a_provider_that_is_not_there_is_away(door: Door) -> None:
    async with running() as gone:
        put(door.directory, replace(door.document, id=gone.url))
        token = gone.token()
    with pytest.raises(Unavailable):
        await door.opens(token)


async def test_an_issuer_over_plain_http_elsewhere_is_not_asked() -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(oidc.ProviderUnavailable, match="https"):
            await oidc.Oidc(client).discover("http://idp.test")


async def test_an_issuer_that_nobody_asks_for_is_forgotten(door: Door) -> None:
    token = door.issuer.token()
    await door.opens(token)
    door.clock.now += STALE_S + 1
    await door.verifier.issuers.refresh()
    assert not door.verifier.issuers._known
    assert await door.opens(token)

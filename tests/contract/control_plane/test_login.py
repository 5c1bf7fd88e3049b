"""People log in by a real provider over HTTP, and their sessions are checked at every request."""

import secrets
import signal
import sys
import time
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from http_server import serving
from identities import ACME
from local_issuer import LocalIssuer, Signer, running
from ports import free_ports, is_free
from pydantic import SecretStr
from store_servers import folder, process, until

from control_plane.login.cookies import LOGIN_S, seal, unseal
from control_plane.login.settings import LoginSettings
from control_plane.store import sessions
from control_plane.store.edit import begin
from serving.contract.policy import Issuer
from serving.identity.people import Person

CLIENT = "conch-dashboard"


@dataclass
class Site:
    """A control plane where people can log in, and its plane, whose settings tests may change."""

    url: str
    issuer: LocalIssuer
    app: object
    plane: object
    owner: httpx.AsyncClient

    @property
    def origin(self) -> dict[str, str]:
        return {"origin": self.url}

    def set_up(self, **settings) -> None:
        given = {"oidc_issuer": self.issuer.url, "oidc_client_id": CLIENT, "public_url": self.url}
        self.app.state.plane = replace(self.plane, login=LoginSettings(**(given | settings)))

    def browser(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url)

    async def to_provider(self, browser, **query) -> httpx.Response:
        """What the provider sends the browser back with."""
        begun = await browser.get("/login", params=query)
        assert begun.status_code == 303, begun.text
        return await browser.get(begun.headers["location"])

    async def log_in(self, browser, **query) -> httpx.Response:
        back = await self.to_provider(browser, **query)
        return await browser.get(back.headers["location"])

    async def put_person(self, **fields) -> str:
        """Makes a user of tenant acme; its path."""
        made = {"issuer": self.issuer.url, "subject": "ann", "email": "ann@acme.test"}
        made |= {"role": "developer", "tenant": "acme", "project": "acme/web", **fields}
        reply = await self.owner.post("/v1/users", json=made)
        assert reply.status_code == 201, reply.text
        return f"/v1/users/{reply.json()['id']}"


@pytest.fixture(scope="module")
async def shared_site(the_plane, the_api):
    (port,) = free_ports(1)
    async with running() as issuer, serving(the_api, port):
        yield Site(f"http://127.0.0.1:{port}", issuer, the_api.app, the_plane, None)
    the_api.app.state.plane = the_plane


@pytest.fixture
async def site(shared_site, plane, owner):
    """With an issuer, no person, and tenants acme and globex."""
    site = shared_site
    site.owner = owner
    site.issuer.reset()
    site.issuer.client = (CLIENT, None)
    async with plane.database.session() as session:
        await session.execute(sessions.login_sessions.delete())
        edit = await begin(session, "key:test")
        for document in (*ACME, Issuer(site.issuer.url, "api", ("ES256",))):
            await edit.put(document, action="create")
    # What an earlier test knew of the issuer is of other keys.
    plane.verifier.issuers._known.clear()
    site.set_up()
    return site


def error_of(reply):
    return reply.status_code, reply.json()["error"]["message"]


async def test_a_person_logs_in_and_out(site):
    await site.put_person()
    async with site.browser() as browser:
        assert (await browser.get("/v1/me")).status_code == 401
        done = await site.log_in(browser, next="/dashboard?tab=usage#today")
        assert (done.status_code, done.headers["location"]) == (303, "/dashboard?tab=usage#today")
        me = (await browser.get("/v1/me")).json()
        assert (me["name"], me["role"], me["tenant"]) == ("ann@acme.test", "developer", "acme")
        assert "inference" in me["permissions"]
        assert (await browser.get("/v1/projects")).json()["data"][0]["id"] == "acme/web"
        assert (await browser.post("/logout", headers=site.origin)).status_code == 204
        assert (await browser.get("/v1/me")).status_code == 401


async def test_a_confidential_client_proves_itself(site):
    await site.put_person()
    secret = "s3cret/with:odd+letters%"
    site.issuer.client = (CLIENT, "s3cret%2Fwith%3Aodd%2Bletters%25")
    async with site.browser() as browser:
        assert (await site.log_in(browser)).status_code == 401
        site.set_up(oidc_client_secret=SecretStr(secret))
        assert (await site.log_in(browser)).status_code == 303
        assert secret not in repr(site.app.state.plane)


async def test_a_login_goes_by_a_provider_that_is_not_ours(site, owner):
    """The package oidc-provider-mock, as a process of its own."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = (sys.executable, "-m", "oidc_provider_mock", "-p", str(port), "-n", "true")
    with (
        folder() as path,
        process(command, path / "log", stop=signal.SIGKILL) as child,
    ):
        until(lambda: not is_free(port), child, path / "log")
        made = await owner.post("/v1/issuers", json={"id": url, "audience": "x"})
        assert made.status_code == 201
        await site.put_person(issuer=url)
        site.set_up(oidc_issuer=url, oidc_client_secret=SecretStr("any"))
        async with site.browser() as browser:
            begun = await browser.get("/login")
            back = await browser.post(begun.headers["location"], data={"sub": "ann"})
            done = await browser.get(back.headers["location"])
            assert (done.status_code, done.headers["location"]) == (303, "/")
            assert (await browser.get("/v1/me")).json()["name"] == "ann@acme.test"


async def test_what_is_asked_of_the_provider_is_a_code_bound_to_this_login(site):
    async with site.browser() as browser:
        url = urlsplit((await browser.get("/login")).headers["location"])
        other = urlsplit((await browser.get("/login")).headers["location"])
    asked, again = (dict(parse_qsl(each.query)) for each in (url, other))
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{site.issuer.url}/authorize"
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == f"{site.url}/login/callback"
    assert asked["scope"].split()[0] == "openid"
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[name]) >= 43
        assert asked[name] != again[name]


@pytest.mark.parametrize("public_url", ["https://conch.test", "https://conch.test/control"])
async def test_over_tls_cookies_are_bound_to_the_host(site, public_url):
    site.set_up(public_url=public_url)
    async with site.browser() as browser:
        reply = await browser.get("/login")
    cookie = reply.headers["set-cookie"]
    assert cookie.startswith("__Host-conch_login=")
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"secure", "httponly", "samesite=lax", "path=/"} <= parts
    assert not any(part.startswith("domain") for part in parts)
    assert site.issuer.url in reply.headers["location"]


async def test_the_session_cookie_is_out_of_reach_of_scripts_and_ends(site):
    await site.put_person()
    site.set_up(session_s=1234)
    async with site.browser() as browser:
        done = await site.log_in(browser)
    session, login = done.headers.get_list("set-cookie")
    assert session.startswith("conch_session=")
    assert {"HttpOnly", "SameSite=lax", "Max-Age=1234"} <= {p.strip() for p in session.split(";")}
    assert "Secure" not in session
    assert login.startswith('conch_login=""; ')


async def test_a_session_ends_at_its_time_whatever_the_browser_does(site, plane):
    await site.put_person()
    now = time.time()
    person = Person(site.issuer.url, "ann", {})
    good, over, unknown = (secrets.token_urlsafe(32) for _ in range(3))
    async with plane.database.session() as session:
        await sessions.begin(session, over, person, now=now - 20, s=10)
        await sessions.begin(session, good, person, now=now - 5, s=100)
    async with site.browser() as browser:
        for token, status in ((good, 200), (over, 401), (unknown, 401), ("forged", 401)):
            reply = await browser.get("/v1/me", headers={"cookie": f"conch_session={token}"})
            assert reply.status_code == status, token
        assert "/login" in error_of(reply)[1]


async def test_sessions_are_stored_as_hashes_and_old_ones_removed(site, plane):
    await site.put_person()
    async with plane.database.session() as session:
        await sessions.begin(session, "old", Person("i", "s", {}), now=1000, s=10)
    async with site.browser() as browser:
        await site.log_in(browser)
        token = browser.cookies["conch_session"]
    async with plane.database.session() as session:
        rows = (await session.execute(sessions.login_sessions.select())).all()
    assert [(row.issuer, row.subject) for row in rows] == [(site.issuer.url, "ann")]
    assert token not in str(rows)


async def test_a_session_is_ended_for_whoever_has_a_copy_of_it(site):
    await site.put_person()
    async with site.browser() as browser, site.browser() as thief:
        await site.log_in(browser)
        thief.cookies = httpx.Cookies(browser.cookies)
        assert (await thief.get("/v1/me")).status_code == 200
        await browser.post("/logout", headers=site.origin)
        assert (await thief.get("/v1/me")).status_code == 401


async def test_to_log_in_again_ends_the_session_before(site):
    await site.put_person()
    async with site.browser() as browser, site.browser() as copy:
        await site.log_in(browser)
        copy.cookies = httpx.Cookies(browser.cookies)
        await site.log_in(browser)
        assert (await browser.get("/v1/me")).status_code == 200
        assert (await copy.get("/v1/me")).status_code == 401


async def test_who_is_put_out_loses_the_session_at_once(site, owner):
    person = await site.put_person()
    async with site.browser() as browser:
        await site.log_in(browser)
        await owner.patch(person, json={"role": "viewer"})
        assert (await browser.get("/v1/me")).json()["role"] == "viewer"
        await owner.patch(person, json={"is_active": False})
        assert error_of(await browser.get("/v1/me"))[0] == 401
        await owner.patch(person, json={"is_active": True})
        await owner.patch("/v1/tenants/acme", json={"is_active": False})
        assert error_of(await browser.get("/v1/me"))[0] == 401
        await owner.patch("/v1/tenants/acme", json={"is_active": True})
        assert (await browser.get("/v1/me")).status_code == 200
        await owner.delete(person)
        assert error_of(await browser.get("/v1/me"))[0] == 401
        await owner.delete(f"/v1/issuers/{site.issuer.url}")
        assert error_of(await browser.get("/v1/me"))[0] == 401


async def test_who_is_known_by_claims_only_has_what_they_say(site, owner):
    said = {"tenant_claim": "org.team", "roles_claim": "groups", "roles": {"devs": "developer"}}
    await owner.patch(f"/v1/issuers/{site.issuer.url}", json=said)
    # A letter that PostgreSQL's own JSON cannot hold.
    site.issuer.claims = {"org": {"team": "acme"}, "groups": ["devs"], "name": "\0", "x": 1}
    async with site.browser() as browser:
        assert (await site.log_in(browser)).status_code == 303
        me = (await browser.get("/v1/me")).json()
        assert (me["tenant"], me["role"], me["project"]) == ("acme", "developer", None)
        await owner.patch(f"/v1/issuers/{site.issuer.url}", json={"roles": {}})
        assert (await browser.get("/v1/me")).status_code == 401


async def test_who_is_not_known_gets_no_session(site):
    async with site.browser() as browser:
        status, says = error_of(await site.log_in(browser))
        assert (status, "ask an admin" in says) == (401, True)
        assert "conch_session" not in browser.cookies


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"nonce": 7},
        {"aud": "api"},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"iss": "https://another.test"},
        {"exp": 1000},
        {"sub": None},
    ],
)
async def test_an_id_token_that_is_not_of_this_login_is_refused(site, claims):
    await site.put_person()
    site.issuer.claims = claims
    async with site.browser() as browser:
        assert (await site.log_in(browser)).status_code == 401
        assert "conch_session" not in browser.cookies


async def test_an_id_token_of_another_issuer_is_refused_though_that_is_trusted(site, owner):
    await site.put_person()
    async with running() as other, site.browser() as browser:
        await owner.post("/v1/issuers", json={"id": other.url, "audience": CLIENT})
        await site.put_person(issuer=other.url)
        site.issuer.signer, site.issuer.claims = other.signer, {"iss": other.url}
        status, says = error_of(await site.log_in(browser))
        assert (status, "not of this login" in says) == (401, True)


async def test_an_id_token_that_the_issuer_did_not_sign_is_refused(site):
    await site.put_person()
    jwks = site.issuer.jwks
    site.issuer.rotate(Signer("k1"))
    site.issuer.jwks = jwks
    async with site.browser() as browser:
        assert (await site.log_in(browser)).status_code == 401


async def test_an_answer_to_another_login_is_refused(site):
    """Somebody makes another's browser finish a login that is not that browser's."""
    await site.put_person()
    async with site.browser() as mallory, site.browser() as victim:
        back = await site.to_provider(mallory)
        status, says = error_of(await victim.get(back.headers["location"]))
        assert (status, "has not begun" in says) == (401, True)
        await victim.get("/login")
        status, says = error_of(await victim.get(back.headers["location"]))
        assert (status, "another login" in says) == (401, True)
        assert "conch_session" not in victim.cookies


async def test_a_code_is_good_once(site):
    await site.put_person()
    async with site.browser() as browser:
        back = await site.to_provider(browser)
        cookie = {"cookie": f"conch_login={browser.cookies['conch_login']}"}
        url = back.headers["location"]
        assert (await browser.get(url)).status_code == 303
        async with site.browser() as copy:
            assert (await copy.get(url, headers=cookie)).status_code == 401


async def test_a_code_is_of_no_use_without_its_verifier(site):
    await site.put_person()
    async with site.browser() as browser:
        back = await site.to_provider(browser)
        for code in site.issuer.codes.values():
            code.asked["code_challenge"] = "of-another-verifier"
        status, says = error_of(await browser.get(back.headers["location"]))
        assert (status, "did not take the code" in says) == (401, True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"state": "x"}, "another login"),
        ({"state": "ü"}, "another login"),
        ({"iss": "https://another.test"}, "another issuer"),
        ({"code": None, "error": "access_denied"}, "'access_denied'"),
        ({"code": None, "error": "<script>"}, "'no'"),
        ({"code": "x"}, "did not take the code"),
    ],
)
async def test_an_answer_that_does_not_fit_is_refused(site, change, says):
    await site.put_person()
    async with site.browser() as browser:
        url = urlsplit((await site.to_provider(browser)).headers["location"])
        query = {k: v for k, v in (dict(parse_qsl(url.query)) | change).items() if v is not None}
        status, message = error_of(await browser.get(f"{url.path}?{urlencode(query)}"))
        assert (status, says in message) == (401, True), message


async def test_an_answer_without_a_state_is_none(site):
    async with site.browser() as browser:
        assert (await browser.get("/login/callback", params={"code": "x"})).status_code == 400


async def test_nobody_is_sent_to_another_site(site):
    elsewhere = (
        "https://evil.test", "//evil.test", "/\\evil.test", "\\\\evil.test", "/\t/evil.test",
        "javascript:alert(1)", "evil.test", "", " /", "/a b", "/a\nset-cookie: x=y",
        "http:evil.test", "/\x00", "/" + "a" * 3000,
    )  # fmt: skip
    async with site.browser() as browser:
        for next_ in elsewhere:
            reply = await browser.get("/login", params={"next": next_})
            assert (reply.status_code, reply.json()["error"]["param"]) == (400, "next"), next_


async def test_there_is_one_issuer_to_log_in_by(site):
    async with site.browser() as browser:
        assert (await browser.get("/login", params={"issuer": site.issuer.url})).status_code == 303
        reply = await browser.get("/login", params={"issuer": "https://another.test"})
        assert error_of(reply)[0] == 404


async def test_without_settings_or_issuer_there_is_no_login(site):
    async with site.browser() as browser:
        site.set_up(oidc_issuer=None, oidc_client_id=None)
        status, says = error_of(await browser.get("/login"))
        assert (status, "CONTROL_OIDC_ISSUER" in says) == (404, True)
        site.set_up(oidc_issuer="https://another.test")
        status, says = error_of(await browser.get("/login"))
        assert (status, "not in /v1/issuers" in says) == (404, True)


async def test_while_the_provider_is_away_people_are_asked_to_come_again(site):
    async with site.browser() as browser:
        back = await site.to_provider(browser)
        site.issuer.status = 503
        assert (await browser.get(back.headers["location"])).status_code == 503
        site.plane.verifier.issuers._known.clear()
        assert (await browser.get("/login")).status_code == 503


async def test_a_session_changes_nothing_for_another_site(site):
    await site.put_person(role="admin", project=None)
    async with site.browser() as browser:
        await site.log_in(browser)
        body = {"id": "acme/new", "name": "New"}
        for headers in ({}, {"origin": "https://evil.test"}, {"sec-fetch-site": "cross-site"}):
            assert (await browser.get("/v1/me", headers=headers)).status_code == 200
            reply = await browser.post("/v1/projects", json=body, headers=headers)
            assert (reply.status_code, "API key" in error_of(reply)[1]) == (403, True)
            assert (await browser.post("/logout", headers=headers)).status_code == 403
        reply = await browser.post("/v1/projects", json=body, headers=site.origin)
        assert reply.status_code == 201


async def test_a_key_counts_before_a_session(site, owner_key):
    await site.put_person()
    async with site.browser() as browser:
        await site.log_in(browser)
        key = {"authorization": f"Bearer {owner_key}"}
        assert (await browser.get("/v1/me", headers=key)).json()["role"] == "owner"
        assert (await browser.get("/v1/me", headers={"authorization": "x"})).status_code == 401
        reply = await browser.post("/v1/projects", json={"id": "acme/b", "name": "B"}, headers=key)
        assert reply.status_code == 201


async def test_who_is_not_logged_in_can_log_out(site):
    async with site.browser() as browser:
        assert (await browser.post("/logout")).status_code == 204


async def test_a_token_of_the_issuer_opens_the_api_too(site):
    await site.put_person()
    async with site.browser() as browser:
        token = site.issuer.token(aud="api")
        me = await browser.get("/v1/me", headers={"authorization": f"Bearer {token}"})
        assert me.json()["name"] == "ann@acme.test"


async def test_a_login_under_way_is_forgotten_in_time(site):
    pepper = site.plane.pepper
    async with site.browser() as browser:
        await browser.get("/login")
        sealed = browser.cookies["conch_login"]
    now = time.time()
    attempt = unseal(sealed, pepper, now)
    assert attempt is not None
    assert attempt.once.verifier not in sealed
    assert unseal(sealed, pepper, now + LOGIN_S + 2) is None
    assert unseal(sealed, b"another pepper" * 3, now) is None
    assert unseal(f"{sealed[:-4]}AAAA", pepper, now) is None
    assert unseal("", pepper, now) is None
    assert unseal(seal(attempt, pepper, now), pepper, now) == attempt

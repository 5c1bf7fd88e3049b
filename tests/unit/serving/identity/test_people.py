"""Whom a verified token makes of a person: by its document, or by what its issuer may claim."""

from typing import Any

import pytest
from identities import ACME, directory_of

from serving.contract.errors import Unauthenticated
from serving.contract.permissions import ROLE_PERMISSIONS, Role
from serving.contract.policy import Issuer, User
from serving.contract.principal import Principal
from serving.identity.claims import claim, display_name
from serving.identity.people import Person, principal_of

IDP = "https://idp.test"
ROLES = {"devs": Role.DEVELOPER, "admins": Role.ADMIN, "watchers": Role.VIEWER}


def issuer(**fields: Any) -> Issuer:
    said = {"tenant_claim": "team", "roles_claim": "groups", "roles": ROLES} | fields
    return Issuer(IDP, "conch", **said)


def who(by: Issuer, *users: User, subject: str = "ann", **claims: Any) -> Principal:
    directory = directory_of(*ACME, by, *users)
    return principal_of(Person(IDP, subject, {"sub": subject, **claims}), directory)


def test_claims_say_tenant_project_and_role_of_who_has_no_document() -> None:
    found = who(
        issuer(project_claim="project"),
        team="acme",
        groups=["devs", "x"],
        project="web",
        email="ann@acme.test",
    )
    assert (found.tenant, found.project, found.role) == ("acme", "acme/web", Role.DEVELOPER)
    assert found.permissions == ROLE_PERMISSIONS[Role.DEVELOPER]
    assert found.name == "ann@acme.test"


def test_a_document_counts_and_the_claims_do_not() -> None:
    user = User("u1", IDP, "ann", "ann@acme.test", Role.VIEWER, tenant="globex")
    found = who(issuer(), user, team="acme", groups=["admins"])
    assert (found.id, found.tenant, found.role) == ("user:u1", "globex", Role.VIEWER)


def test_the_same_person_is_the_same_principal_and_nobody_else() -> None:
    said = {"team": "acme", "groups": "devs"}
    assert who(issuer(), **said).id == who(issuer(), **said, email="new@acme.test").id
    assert who(issuer(), **said).id != who(issuer(), subject="bob", **said).id
    assert who(issuer(), subject="u1", **said).id != "user:u1"


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["devs"], Role.DEVELOPER),
        ("devs", Role.DEVELOPER),
        ("openid devs", Role.DEVELOPER),
        (["watchers", "admins", "devs"], Role.ADMIN),
        (["devs", 7, None, {"a": 1}], Role.DEVELOPER),
    ],
)
def test_the_highest_mapped_role_counts(groups: object, role: Role) -> None:
    assert who(issuer(), team="acme", groups=groups).role is role


@pytest.mark.parametrize(
    "groups", [[], None, "", "DEVS", ["owner"], "owner", ["admin"], {"devs": True}, [["devs"]], 7]
)
def test_a_role_that_is_not_mapped_is_never_granted(groups: object) -> None:
    with pytest.raises(Unauthenticated, match="grants no role"):
        who(issuer(), team="acme", groups=groups)


def test_an_owner_has_to_be_mapped_explicitly() -> None:
    mapped = issuer(roles={"bosses": Role.OWNER})
    assert who(mapped, team="acme", groups=["bosses"]).role is Role.OWNER
    with pytest.raises(Unauthenticated):
        who(mapped, team="acme", groups=["owner"])


def test_without_a_claim_for_roles_nobody_gets_in_by_claims() -> None:
    with pytest.raises(Unauthenticated, match="grants no role"):
        who(issuer(roles_claim=None), team="acme", groups=["admins"])


@pytest.mark.parametrize("team", [None, "", 7, ["acme"], "a" * 300, "acme\n"])
def test_claims_without_a_tenant_are_not_of_the_whole_organisation(team: object) -> None:
    with pytest.raises(Unauthenticated, match="names no tenant"):
        who(issuer(), team=team, groups=["admins"])
    with pytest.raises(Unauthenticated, match="names no tenant"):
        who(issuer(tenant_claim=None), team=team, groups=["admins"])


@pytest.mark.parametrize("team", ["none", "ACME", "acme/web", "../acme"])
def test_a_tenant_that_is_not_there_lets_nobody_in(team: str) -> None:
    with pytest.raises(Unauthenticated, match="not active"):
        who(issuer(), team=team, groups=["admins"])


def test_an_issuer_of_a_tenant_vouches_for_it_alone() -> None:
    assert who(issuer(tenant="acme", tenant_claim=None), groups=["devs"]).tenant == "acme"
    assert who(issuer(tenant="acme"), team="acme", groups=["devs"]).tenant == "acme"
    with pytest.raises(Unauthenticated, match="vouches for the tenant 'acme' only"):
        who(issuer(tenant="acme"), team="globex", groups=["devs"])


@pytest.mark.parametrize("project", ["globex/app", "app", "acme/none", "", None, ["web"], "/web"])
def test_a_project_has_to_be_one_of_the_tenant(project: object) -> None:
    with pytest.raises(Unauthenticated):
        who(issuer(project_claim="project"), team="acme", groups=["devs"], project=project)


def test_an_issuer_that_is_gone_vouches_for_nobody() -> None:
    with pytest.raises(Unauthenticated, match="no issuer"):
        principal_of(Person("https://other.test", "ann", {}), directory_of(*ACME, issuer()))


def test_claims_are_found_within_claims_and_by_names_with_dots() -> None:
    claims = {"a": {"b": {"c": 1}}, "https://x.test/roles": 2, "a.b": 3}
    assert claim(claims, "a.b.c") == 1
    assert claim(claims, "https://x.test/roles") == 2
    assert claim(claims, "a.b") == 3
    assert claim(claims, "a.x") is None
    assert claim({"a": "text"}, "a.b") is None


def test_a_name_that_could_break_a_log_is_no_name() -> None:
    assert display_name({"email": "x\n{}", "sub": "ann"}) == "ann"
    assert display_name({"email": "\ud800"}) == ""

"""People whom an issuer vouches for, as principals: by their `User` document, else by claims."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.contract.errors import Unauthenticated
from serving.contract.permissions import permissions_of
from serving.contract.policy import Issuer, User
from serving.contract.principal import Principal
from serving.identity.claims import display_name, named, role_of
from serving.identity.directory import Directory
from serving.identity.standing import check_home


@dataclass(frozen=True, slots=True)
class Person:
    """Who was vouched for: the `iss` and `sub` of a verified token, and all that it claims."""

    issuer: str
    subject: str
    claims: Mapping[str, Any] = field(repr=False)


def principal_of(person: Person, directory: Directory) -> Principal:
    """Raises Unauthenticated for who is not known here, not active, or bound to where it is not.

    A `User` document counts and the claims do not. An issuer that is bound to a tenant vouches for
    nobody outside of it, not even for a user whose document says so.
    """
    issuer = directory.issuer(person.issuer)
    if issuer is None:
        raise Unauthenticated(f"'{person.issuer}' is no issuer that is trusted here any more")
    user = directory.user(person.issuer, person.subject)
    found = _by_claims(person, issuer) if user is None else _by_document(user)
    if issuer.tenant not in (None, found.tenant):
        raise Unauthenticated(
            f"'{issuer.id}' vouches for the tenant '{issuer.tenant}' only: use its own login"
        )
    check_home(found, directory)
    return found


def _by_document(user: User) -> Principal:
    if not user.is_active:
        raise Unauthenticated("this person's access was taken back: ask an admin of the tenant")
    return Principal(
        id=f"user:{user.id}",
        name=user.email,
        role=user.role,
        permissions=permissions_of(user.role),
        tenant=user.tenant,
        project=user.project,
        limits=user.limits,
    )


def _by_claims(person: Person, issuer: Issuer) -> Principal:
    role = role_of(person.claims, issuer)
    if role is None:
        raise Unauthenticated(
            "this person is not known here and its token grants no role: ask an admin to add it"
        )
    tenant = _tenant(person.claims, issuer)
    return Principal(
        id=_claimed_id(person),
        name=display_name(person.claims),
        role=role,
        permissions=permissions_of(role),
        tenant=tenant,
        project=_project(person.claims, issuer, tenant),
    )


def _tenant(claims: Mapping[str, Any], issuer: Issuer) -> str:
    """Claims never make anybody a member of the whole organisation: for that there are users."""
    said = issuer.tenant_claim
    tenant = issuer.tenant if said is None else named(claims, said)
    if tenant is None:
        raise Unauthenticated(
            "this person is not known here and its token names no tenant: ask an admin to add it"
        )
    return tenant


def _project(claims: Mapping[str, Any], issuer: Issuer, tenant: str) -> str | None:
    """`<tenant>/<slug>`, of which a claim may leave out the tenant."""
    if issuer.project_claim is None:
        return None
    project = named(claims, issuer.project_claim)
    if project is None:
        # Without one it could see all projects of the tenant.
        raise Unauthenticated(
            f"the token names no project: it belongs in its claim '{issuer.project_claim}'"
        )
    return project if "/" in project else f"{tenant}/{project}"


def _claimed_id(person: Person) -> str:
    """The same for the same person, and nothing that a provider could make look like another's."""
    text = f"{person.issuer}\0{person.subject}".encode()
    return f"user:{hashlib.sha256(text).hexdigest()[:32]}"

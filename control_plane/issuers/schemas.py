"""OpenID providers on the wire."""

import re
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from control_plane.wire import UNSET, Body, Label, Names, Second, TenantId, View, Word
from serving.contract.permissions import Role

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]  # fmt: skip
ISSUER = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~%/\-]*)?")
Claim = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/-]{1,128}$")]
RoleMap = Annotated[dict[Label, Role], Field(max_length=256)]


def _issuer(url: str) -> str:
    """As it stands in `iss`, to the letter. Keys come from there, so it has to be over TLS."""
    if ISSUER.fullmatch(url) is None:
        raise ValueError("an issuer is a URL without a query: https://idp.example.com")
    if url.startswith("http:") and not _is_loopback(urlsplit(url).hostname or ""):
        raise ValueError("an issuer that is not on this machine has to be https://")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


IssuerUrl = Annotated[Word, AfterValidator(_issuer)]


class IssuerPatch(Body):
    audience: Label = UNSET
    algorithms: Annotated[Names[Algorithm], Field(min_length=1)] = ("RS256", "ES256")
    tenant_claim: Claim | None = None
    project_claim: Claim | None = None
    roles_claim: Claim | None = None
    roles: RoleMap = Field(default_factory=dict)


class NewIssuer(IssuerPatch):
    """With a tenant: all its tokens and people are of that tenant."""

    id: IssuerUrl
    audience: Label
    tenant: TenantId | None = None


class IssuerView(View):
    object: Literal["issuer"] = "issuer"
    id: str
    audience: str
    algorithms: list[str]
    tenant: str | None
    tenant_claim: str | None
    project_claim: str | None
    roles_claim: str | None
    roles: dict[str, Role]
    created_at: Second

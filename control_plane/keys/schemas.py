"""API keys on the wire: the key itself once, when it is made; never what is stored of it."""

from typing import Annotated, Literal

from pydantic import Field

from control_plane.wire import (
    UNSET,
    Body,
    Cidr,
    Label,
    LimitsBody,
    ModelName,
    Moment,
    Names,
    ProjectId,
    Second,
    TenantId,
    View,
    Word,
)
from serving.contract.permissions import Permission, Role
from serving.contract.policy import Limits

LONGEST_OVERLAP_S = 30 * 86400
Class = Literal["interactive", "standard", "agent", "batch"]


class Narrowing(Body):
    """What a key is narrowed to; null for all of them."""

    scopes: Names[Permission] | None = None
    models: Names[ModelName] | None = None
    adapters: Names[ModelName] | None = None
    classes: Names[Class] | None = None
    tools: Names[Word] | None = None
    cidrs: Names[Cidr] | None = None
    expires_at: Moment | None = None


class NewKey(Narrowing):
    """Belongs where its maker does, unless it says otherwise."""

    name: Label
    role: Role = Role.SERVICE
    tenant: TenantId | None = None
    project: ProjectId | None = None
    limits: LimitsBody = LimitsBody()


class KeyPatch(Narrowing):
    name: Label = UNSET


class Rotation(Body):
    """How long the secret that is replaced stays good."""

    overlap_s: Annotated[int, Field(ge=0, le=LONGEST_OVERLAP_S)] = 86400


class SecretView(View):
    expires_at: float | None = None


class KeyView(View):
    object: Literal["key"] = "key"
    id: str
    name: str
    role: Role
    tenant: str | None
    project: str | None
    is_active: bool
    secrets: list[SecretView]
    expires_at: float | None
    limits: Limits
    scopes: list[str] | None
    models: list[str] | None
    adapters: list[str] | None
    classes: list[str] | None
    tools: list[str] | None
    cidrs: list[str] | None
    last_used_at: Second | None
    created_at: Second


class KeyShown(KeyView):
    """With the key in the clear, the only time it can be read."""

    key: str = ""

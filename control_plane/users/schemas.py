"""People on the wire, each known by what an issuer calls them."""

from typing import Annotated, Literal

from pydantic import StringConstraints

from control_plane.wire import (
    UNSET,
    Body,
    Label,
    LimitsBody,
    ProjectId,
    Second,
    TenantId,
    View,
    Word,
)
from serving.contract.permissions import Role
from serving.contract.policy import Limits

Subject = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{1,255}$")]


class NewUser(Body):
    """Belongs where its maker does, unless it says otherwise."""

    issuer: Word
    subject: Subject
    email: Label
    role: Role
    tenant: TenantId | None = None
    project: ProjectId | None = None
    limits: LimitsBody = LimitsBody()


class UserPatch(Body):
    email: Label = UNSET
    role: Role = UNSET
    is_active: bool = UNSET


class UserView(View):
    object: Literal["user"] = "user"
    id: str
    issuer: str
    subject: str
    email: str
    role: Role
    tenant: str | None
    project: str | None
    is_active: bool
    limits: Limits
    created_at: Second

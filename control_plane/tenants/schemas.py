"""Tenants on the wire."""

from typing import Literal

from control_plane.wire import UNSET, Body, Label, LimitsBody, Second, TenantId, View
from serving.contract.policy import Limits


class NewTenant(Body):
    """The id is chosen once and never changes."""

    id: TenantId
    name: Label
    limits: LimitsBody = LimitsBody()


class TenantPatch(Body):
    name: Label = UNSET
    is_active: bool = UNSET


class TenantView(View):
    object: Literal["tenant"] = "tenant"
    id: str
    name: str
    is_active: bool
    limits: Limits
    model_limits: dict[str, Limits]
    created_at: Second

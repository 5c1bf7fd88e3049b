"""Tenants on the wire."""

from typing import Literal

from control_plane.guardrails.schemas import PolicyId
from control_plane.wire import UNSET, Body, Label, LimitsBody, Second, TenantId, View
from serving.contract.policy import Limits


class NewTenant(Body):
    """The id is chosen once and never changes."""

    id: TenantId
    name: Label
    limits: LimitsBody = LimitsBody()
    guardrails: PolicyId | None = None


class TenantPatch(Body):
    """Null for `guardrails`: those of the settings."""

    name: Label = UNSET
    is_active: bool = UNSET
    guardrails: PolicyId | None = None


class TenantView(View):
    object: Literal["tenant"] = "tenant"
    id: str
    name: str
    is_active: bool
    limits: Limits
    model_limits: dict[str, Limits]
    guardrails: str | None
    created_at: Second

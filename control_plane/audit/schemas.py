"""Entries of the audit log on the wire."""

from typing import Any, Literal

from control_plane.wire import View


class AuditView(View):
    """`at` has fractions of a second. `before` and `after` have no secrets in them."""

    object: Literal["audit.entry"] = "audit.entry"
    id: int
    at: float
    actor: str
    action: str
    kind: str
    target: str
    tenant: str | None
    project: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str | None

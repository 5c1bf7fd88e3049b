"""Projects on the wire."""

from typing import Annotated, Literal

from pydantic import Field

from control_plane.guardrails.schemas import PolicyId
from control_plane.wire import UNSET, Body, Label, LimitsBody, ProjectId, Second, View
from serving.contract.cache import CacheMode
from serving.contract.policy import Limits, LogPrivacy

Days = Annotated[int, Field(ge=1, le=3650)]


class NewProject(Body):
    """The id is `<tenant>/<project>`, chosen once; null for what the settings say, and
    for `guardrails` its tenant.
    """

    id: ProjectId
    name: Label
    limits: LimitsBody = LimitsBody()
    log_privacy: LogPrivacy | None = None
    retention_days: Days | None = None
    guardrails: PolicyId | None = None
    cache: CacheMode | None = None


class ProjectPatch(Body):
    name: Label = UNSET
    is_active: bool = UNSET
    log_privacy: LogPrivacy | None = None
    retention_days: Days | None = None
    guardrails: PolicyId | None = None
    cache: CacheMode | None = None


class ProjectView(View):
    object: Literal["project"] = "project"
    id: str
    tenant: str
    name: str
    is_active: bool
    limits: Limits
    log_privacy: LogPrivacy | None
    retention_days: int | None
    guardrails: str | None
    cache: CacheMode | None
    created_at: Second

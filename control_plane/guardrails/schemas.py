"""Guardrail policies on the wire."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic import StringConstraints as Like

from control_plane.guardrails.checks import CheckBody
from control_plane.wire import SLUG, Body, Second, View
from serving.contract.errors import InvalidRequest
from serving.contract.guardrails import Check, GuardrailPolicy, Hold, OnFailure
from serving.guardrails.examine import Guard
from serving.identity.documents import encode

MOST_CHECKS = 64
MOST_PATTERNS = 128  # in one policy: they are compiled for each
MOST_BYTES = 65536  # of its document: it travels with requests
PolicyId = Annotated[str, Like(pattern=f"^(?:{SLUG}/)?{SLUG}$")]


class GuardrailsBody(Body):
    """A whole policy, but for its id. What is left out is at its default."""

    checks: Annotated[tuple[CheckBody, ...], Field(max_length=MOST_CHECKS)] = ()
    hold: Hold = Hold.SENTENCE
    on_failure: OnFailure = OnFailure.OPEN
    budget_ms: Annotated[int, Field(ge=1, le=60_000)] = 2000
    is_spotlit: bool = True
    is_reversible: bool = False
    is_explained: bool = True

    def policy(self, id_: str) -> GuardrailPolicy:
        """Raises InvalidRequest for one that is too large as a whole, or cannot be compiled."""
        said = {name: getattr(self, name) for name in GuardrailsBody.model_fields}
        checks = tuple(body.check() for body in self.checks)
        policy = GuardrailPolicy(id_, tenant=tenant_of(id_), **said | {"checks": checks})
        _is_small(policy)
        Guard.of(policy)
        return policy


class NewGuardrails(GuardrailsBody):
    """The id is `<slug>`, or `<tenant>/<slug>` for a tenant's own."""

    id: PolicyId


class GuardrailsView(View):
    """Without `created_at`: it is built in."""

    object: Literal["guardrails"] = "guardrails"
    id: str
    tenant: str | None
    checks: list[Check]
    hold: Hold
    on_failure: OnFailure
    budget_ms: int
    is_spotlit: bool
    is_reversible: bool
    is_explained: bool
    created_at: Second | None = None


def tenant_of(id_: str) -> str | None:
    tenant, slash, _ = id_.partition("/")
    return tenant if slash else None


def _is_small(policy: GuardrailPolicy) -> None:
    if sum(len(check.patterns) for check in policy.checks) > MOST_PATTERNS:
        raise InvalidRequest(
            f"a policy has at most {MOST_PATTERNS} patterns; put some into one, as in a|b",
            param="checks",
        )
    if len(encode(policy)) > MOST_BYTES:
        raise InvalidRequest(
            f"a policy has at most {MOST_BYTES} bytes as JSON; say less in it", param="checks"
        )

"""Rules that choose adapters, on the wire."""

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from control_plane.wire import Body, ModelName, ProjectId, TenantId
from serving.contract.policy import AdapterRule
from serving.contract.principal import Principal

BaseModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$")]
Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
MOST_RULES, MOST_PHRASES = 64, 32


class AdapterRuleBody(Body):
    """Of a project: of its tenant, too."""

    model: BaseModelName
    adapter: ModelName
    tenant: TenantId | None = None
    project: ProjectId | None = None
    contains: Annotated[tuple[Phrase, ...], Field(max_length=MOST_PHRASES)] = ()

    @model_validator(mode="after")
    def _is_of_one_tenant(self) -> Self:
        if self.project is not None and self.tenant not in (None, self._tenant_of_project):
            raise ValueError(f"project '{self.project}' is not of tenant '{self.tenant}'")
        return self

    @property
    def _tenant_of_project(self) -> str | None:
        return None if self.project is None else self.project.partition("/")[0]

    def rule(self) -> AdapterRule:
        fields = self.model_dump()
        return AdapterRule(**fields | {"tenant": self.tenant or self._tenant_of_project})


def _rules(bodies: Sequence[AdapterRuleBody]) -> tuple[AdapterRule, ...]:
    return tuple(dict.fromkeys(body.rule() for body in bodies))


# In the order in which they are tried.
AdapterRules = Annotated[
    tuple[AdapterRuleBody, ...], Field(max_length=MOST_RULES), AfterValidator(_rules)
]


def is_in_sight_of(rule: AdapterRule, caller: Principal) -> bool:
    """Whether it is for everybody, or for the caller's own."""
    if caller.tenant is not None and rule.tenant not in (None, caller.tenant):
        return False
    return caller.project is None or rule.project in (None, caller.project)

"""Guardrails: which policy counts for a principal, and how it travels to the model server."""

from dataclasses import dataclass

from serving.contract.guardrails import GuardrailPolicy
from serving.contract.principal import Principal
from serving.guardrails.default_policy import BUILT_IN, DEFAULT
from serving.guardrails.wire import sealed
from serving.identity.directory import Directory


@dataclass(frozen=True, slots=True)
class InForce:
    """`text` is its JSON; None where every model server knows it."""

    policy: GuardrailPolicy
    reference: str
    text: str | None

    @property
    def sealed(self) -> str:
        """Its JSON in any case."""
        return sealed(self.policy).text


BY_DEFAULT = InForce(DEFAULT, sealed(DEFAULT).reference, None)


def policy_of(directory: Directory | None, principal: Principal) -> InForce:
    """That of its project, its tenant or everybody; without governance the default one."""
    policy = DEFAULT if directory is None else directory.guardrails_of(principal.project or "")
    found = sealed(policy)
    is_known = BUILT_IN.get(policy.id) == policy
    return InForce(policy, found.reference, None if is_known else found.text)

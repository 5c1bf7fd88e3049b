"""The guardrails of one BLS model: which policy counts for a request, compiled once."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from serving.bls.embeddings import Embeddings
from serving.contract.calls import Call
from serving.contract.errors import BadGrant
from serving.contract.grant import Grant
from serving.contract.guardrails import OF_DATA, GuardrailPolicy, Verdict
from serving.guardrails.default_policy import BUILT_IN, DEFAULT
from serving.guardrails.examine import Guard
from serving.guardrails.tools.guard import ToolGuard
from serving.guardrails.wire import is_of, named, parsed, sealed


@dataclass(frozen=True, slots=True)
class Compiled:
    """A policy that is ready to be used; `name` is what verdicts call it. `data_guard` has only its
    checks that look for data: for texts that are not to be trusted less than the caller.
    """

    policy: GuardrailPolicy
    name: str
    guard: Guard
    data_guard: Guard
    tools: ToolGuard


def _nothing(*_: object) -> None: ...


@dataclass(frozen=True, slots=True)
class Guards:
    """`tell` hears of every verdict, `failed` of every check that came to none.

    Without `embeddings` every check by meaning fails. `can_spotlight`: the model understands marks
    around texts of others.
    """

    embeddings: Embeddings | None = None
    tell: Callable[[Verdict], None] = field(default=_nothing)
    failed: Callable[[Exception], None] = field(default=_nothing)
    waited_ms: Callable[[float], None] = field(default=_nothing)
    can_spotlight: bool = True

    def of(self, call: Call, grant: Grant) -> Compiled:
        """What counts for a request. Raises BadGrant where the grant's policy is not with it."""
        reference = grant.guardrails or _DEFAULT
        if reference in _BUILT_IN:
            return compiled(_BUILT_IN[reference], reference)
        text = call.guardrails
        if text is None or not is_of(text, reference):
            raise BadGrant("the guardrail policy that the grant names does not come with it")
        return compiled(text, reference)


_DEFAULT = sealed(DEFAULT).reference
_BUILT_IN = {s.reference: s.text for s in map(sealed, BUILT_IN.values())}


@lru_cache(maxsize=256)
def compiled(text: str, reference: str) -> Compiled:
    """The policy in `text`, which is `reference`. Raises InvalidRequest."""
    policy, name = parsed(text), named(reference)
    of_data = replace(policy, checks=tuple(c for c in policy.checks if c.kind in OF_DATA))
    return Compiled(
        policy,
        name,
        Guard.of(policy, name),
        Guard.of(of_data, name),
        ToolGuard.of(policy, name),
    )

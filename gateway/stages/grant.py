"""Grant: what a principal may do, signed for the one Triton request that will carry it."""

import secrets
import time
from dataclasses import dataclass, field, replace

from gateway.stages.guardrails import BY_DEFAULT, InForce
from serving.contract.calls import Call
from serving.contract.errors import EngineFailed
from serving.contract.grant import CLASSES, DEFAULT_LIFETIME_S, Grant, sign
from serving.contract.principal import Principal
from serving.contract.tool_runs import NOTHING, ToolRun

OPERATOR = "_gateway"  # asks for itself, and is no tenant: those are slugs


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs for one principal; without a key it signs nothing, and BLS models grant little."""

    key: bytes | None = field(repr=False)
    principal: Principal
    guardrails: InForce = BY_DEFAULT
    run: ToolRun = NOTHING

    def signed(self, call: Call, model: str, triton_id: str) -> Call:
        """`call` with a grant that is good for the request `triton_id` of `model` alone."""
        if self.key is None or self.principal.tenant is None:
            return call
        grant = Grant(
            request_id=triton_id,
            model=model,
            tenant=self.principal.tenant,
            expires_at=time.time() + DEFAULT_LIFETIME_S,
            project=self.principal.project,
            class_ceiling=ceiling(self.principal.classes),
            # The one that was chosen for it, and no other the principal may use.
            adapters=() if call.adapter is None else (call.adapter,),
            tools=self.principal.tools,
            guardrails=self.guardrails.reference,
            run=self.run,
        )
        return replace(call, grant=sign(grant, self.key), guardrails=self.guardrails.text)


def ceiling(classes: tuple[str, ...] | None) -> str:
    """The highest of the classes that are allowed (None: all); the lowest where none is known."""
    if classes is None:
        return CLASSES[0]
    return next((name for name in CLASSES if name in classes), CLASSES[-1])


def operator_grant(model: str, key: bytes) -> tuple[str, str]:
    """A grant for one operation of the gateway's own on `model`, and the id of its request."""
    request_id = f"gateway-{secrets.token_hex(8)}"
    expires_at = time.time() + DEFAULT_LIFETIME_S
    grant = Grant(request_id, model, OPERATOR, expires_at, can_control=True)
    return sign(grant, key), request_id


def not_taken() -> EngineFailed:
    """For clients, which have no part in it: keys or clocks of gateway and Triton differ."""
    return EngineFailed(
        "the model server does not take this gateway's grants: CONCH_GRANT_KEY and the clocks "
        "have to be the same at both"
    )

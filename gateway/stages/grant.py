"""Grant: what a principal may do, signed for the one Triton request that will carry it."""

import time
from dataclasses import dataclass, field, replace

from serving.contract.calls import Call
from serving.contract.grant import CLASSES, DEFAULT_LIFETIME_S, Grant, sign
from serving.contract.principal import Principal


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs for one principal; without a key it signs nothing, and BLS models grant little."""

    key: bytes | None = field(repr=False)
    principal: Principal

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
            adapters=self.principal.adapters,
            tools=self.principal.tools,
        )
        return replace(call, grant=sign(grant, self.key))


def ceiling(classes: tuple[str, ...] | None) -> str:
    """The highest of the classes that are allowed (None: all); the lowest where none is known."""
    if classes is None:
        return CLASSES[0]
    return next((name for name in CLASSES if name in classes), CLASSES[-1])

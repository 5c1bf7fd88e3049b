"""What the stages work with, for as long as a process serves."""

from dataclasses import dataclass, field

from gateway.governor import Governor
from gateway.policy import Policy
from gateway.settings import GatewaySettings
from gateway.stages.adapters import Adapters
from gateway.stages.auth import Gatekeeper
from gateway.stages.remember import Archive
from gateway.stages.route import Catalogue
from serving.adapters.triton import Triton
from serving.contract.policy import Settings
from serving.identity.addresses import AddressLoad

NO_SETTINGS = Settings()


@dataclass(frozen=True, slots=True)
class Governance:
    """What a governed gateway has beside its gatekeeper; `grant_key` signs what requests may do."""

    policy: Policy
    governor: Governor
    archive: Archive
    grant_key: bytes = field(repr=False)


async def _none() -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Gate:
    """What every request passes."""

    settings: GatewaySettings
    gatekeeper: Gatekeeper
    catalogue: Catalogue
    triton: Triton
    load: AddressLoad
    governance: Governance | None = None
    adapters: Adapters = field(default_factory=Adapters)
    embeddings: Catalogue = field(default_factory=lambda: Catalogue(_none))

    @property
    def runtime(self) -> Settings:
        """What an operator has set at run time."""
        if self.governance is None:
            return NO_SETTINGS
        return self.governance.policy.directory.settings

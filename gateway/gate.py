"""What the stages work with, for as long as a process serves."""

from dataclasses import dataclass, field

from gateway.governor import Governor
from gateway.policy import Policy
from gateway.response_cache import Cache
from gateway.settings import GatewaySettings
from gateway.stages.adapters import Adapters
from gateway.stages.auth import Gatekeeper
from gateway.stages.remember import Archive
from gateway.stages.route import Catalogue
from gateway.stages.tool_runs import ToolRuns
from serving.adapters.triton import Triton
from serving.contract.policy import Settings
from serving.identity.addresses import AddressLoad
from serving.identity.directory import Directory

NO_SETTINGS = Settings()


@dataclass(frozen=True, slots=True)
class Governance:
    """What a governed gateway has beside its gatekeeper; `grant_key` signs what requests may do."""

    policy: Policy
    governor: Governor
    archive: Archive
    tool_runs: ToolRuns
    grant_key: bytes = field(repr=False)
    cache: Cache | None = None


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
    def directory(self) -> Directory | None:
        """The policy in force; None without governance. Raises Unavailable before there is one."""
        return None if self.governance is None else self.governance.policy.directory

    @property
    def cache(self) -> Cache | None:
        """None without governance: nobody says then who may share answers with whom."""
        return None if self.governance is None else self.governance.cache

    @property
    def runtime(self) -> Settings:
        """What an operator has set at run time."""
        directory = self.directory
        return NO_SETTINGS if directory is None else directory.settings

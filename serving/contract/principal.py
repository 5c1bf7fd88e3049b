"""Who a request speaks for, once that is known."""

from dataclasses import dataclass

from serving.contract.errors import Forbidden
from serving.contract.permissions import Permission, Role
from serving.contract.policy import NO_LIMITS, Limits


@dataclass(frozen=True, slots=True)
class Principal:
    """A key or a person. None for a tenant or project: it is bound to none.

    `id` is `key:<id>` or `user:<id>`. None for `models`, `adapters`, `classes` or `tools`: all.
    """

    id: str
    name: str
    role: Role
    permissions: frozenset[Permission]
    tenant: str | None = None
    project: str | None = None
    limits: Limits = NO_LIMITS
    models: tuple[str, ...] | None = None
    adapters: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None

    def require(self, permission: Permission) -> None:
        """Raises Forbidden unless it has `permission`."""
        if permission not in self.permissions:
            raise Forbidden(
                f"'{self.id}' ({self.role}) may not do this: it needs the permission '{permission}'"
            )

    def can_use(self, model: str) -> bool:
        return self.models is None or model in self.models

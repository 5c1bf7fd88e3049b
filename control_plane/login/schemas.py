"""A person or key, as it sees itself."""

from typing import Literal, Self

from pydantic import BaseModel

from serving.contract.permissions import Permission, Role
from serving.contract.policy import Limits
from serving.contract.principal import Principal


class Me(BaseModel):
    """None for a tenant or project: it is bound to none; for the others: all of them."""

    object: Literal["principal"] = "principal"
    id: str
    name: str
    role: Role
    permissions: list[Permission]
    tenant: str | None
    project: str | None
    limits: Limits
    models: tuple[str, ...] | None
    adapters: tuple[str, ...] | None
    classes: tuple[str, ...] | None
    tools: tuple[str, ...] | None

    @classmethod
    def of(cls, caller: Principal) -> Self:
        names = (name for name in cls.model_fields if name not in ("object", "permissions"))
        told = {name: getattr(caller, name) for name in names}
        return cls(permissions=sorted(caller.permissions), **told)

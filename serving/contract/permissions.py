"""Who may do what: the one table of roles and permissions.

A principal has the permissions of its role, inside its tenant and project if it is bound to one. A
key may carry scopes, which are permissions too, and then has only those of its role it names.
"""

from collections.abc import Iterable
from enum import StrEnum


class Permission(StrEnum):
    """One thing that can be allowed. The value is what a key's `scopes` say."""

    INFERENCE = "inference"
    MODELS_READ = "models:read"
    USAGE_READ = "usage:read"
    TENANTS_READ = "tenants:read"
    TENANTS_WRITE = "tenants:write"
    PROJECTS_READ = "projects:read"
    PROJECTS_WRITE = "projects:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    LIMITS_WRITE = "limits:write"
    PRICES_WRITE = "prices:write"
    POLICY_READ = "policy:read"
    POLICY_WRITE = "policy:write"
    ISSUERS_WRITE = "issuers:write"
    AUDIT_READ = "audit:read"
    CONTENT_READ = "content:read"
    RUNTIME_CONTROL = "runtime:control"


class Role(StrEnum):
    """What a person or a key is to the organisation, a tenant or a project."""

    OWNER = "owner"
    ADMIN = "admin"
    OPERATOR = "operator"
    DEVELOPER = "developer"
    VIEWER = "viewer"
    SERVICE = "service"


_P = Permission
_VIEWER = frozenset({_P.MODELS_READ, _P.USAGE_READ, _P.TENANTS_READ, _P.PROJECTS_READ})
_DEVELOPER = _VIEWER | {_P.INFERENCE, _P.KEYS_READ, _P.KEYS_WRITE}
_OPERATOR = _VIEWER | {
    _P.INFERENCE,
    _P.KEYS_READ,
    _P.POLICY_READ,
    _P.POLICY_WRITE,
    _P.PRICES_WRITE,
    _P.RUNTIME_CONTROL,
}

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.ADMIN: frozenset(Permission) - {_P.ISSUERS_WRITE, _P.PRICES_WRITE, _P.RUNTIME_CONTROL},
    Role.OPERATOR: _OPERATOR,
    Role.DEVELOPER: _DEVELOPER,
    Role.VIEWER: _VIEWER,
    Role.SERVICE: frozenset({_P.INFERENCE, _P.MODELS_READ}),
}


def permissions_of(role: Role, scopes: Iterable[str] | None = None) -> frozenset[Permission]:
    """The permissions of `role`, narrowed to `scopes` where there are any (None: all of them)."""
    whole = ROLE_PERMISSIONS[role]
    return whole if scopes is None else whole & frozenset(map(Permission, scopes))

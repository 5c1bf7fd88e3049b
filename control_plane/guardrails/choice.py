"""Who is checked by which guardrail policy."""

from sqlalchemy import Table, select

from control_plane.guardrails.schemas import tenant_of
from control_plane.store.edit import Edit
from control_plane.store.tables import projects, tenants
from serving.contract.errors import Conflict, InvalidRequest
from serving.contract.guardrails import GuardrailPolicy
from serving.contract.policy import Settings
from serving.guardrails.default_policy import BUILT_IN

DEFAULTS = Settings()
PARAM = "guardrails"
MOST_NAMED = 5
_CHOOSERS: dict[str, Table] = {"tenant": tenants, "project": projects}


async def can_be_chosen(edit: Edit, name: str | None, *, tenant: str | None = None) -> None:
    """Raises InvalidRequest for a policy that is not there, or of another tenant than `tenant`.

    None for `name`: whatever counts for those above.
    """
    if name is None or name in BUILT_IN:
        return
    is_foreign = tenant_of(name) not in (None, tenant)
    if is_foreign or await edit.find(GuardrailPolicy, name) is None:
        raise InvalidRequest(
            f"no guardrail policy '{name}' to choose here; GET /v1/guardrails lists what there is",
            param=PARAM,
        )


async def not_in_use(edit: Edit, policy_id: str) -> None:
    """Raises Conflict, which names some of those that chose it."""
    users = await _users(edit, policy_id)
    if users:
        more = " and others" if len(users) > MOST_NAMED else ""
        raise Conflict(
            f"guardrail '{policy_id}' is in use by {', '.join(users[:MOST_NAMED])}{more}; "
            "let them use another one first"
        )


async def _users(edit: Edit, policy_id: str) -> list[str]:
    """Some of them, as people call them."""
    settings = await edit.find(Settings, DEFAULTS.id) or DEFAULTS
    users = ["the settings"] if settings.guardrails == policy_id else []
    for kind, table in _CHOOSERS.items():
        theirs = select(table.c.id).where(table.c.guardrails == policy_id).order_by(table.c.id)
        found = await edit.session.scalars(theirs.limit(MOST_NAMED + 1))
        users += [f"{kind} {id_}" for id_ in found]
    return users

"""What of all usage a caller may see. Every report and export goes through here."""

from dataclasses import replace

from control_plane.store.usage_reports import Where
from serving.contract.principal import Principal


def seen_by(caller: Principal, where: Where) -> Where:
    """`where`, narrowed to the tenant and project that the caller is bound to.

    What it may not see is not there: projects of others in its lists find nothing.
    """
    if caller.tenant is not None:
        where = replace(where, tenant=caller.tenant)
    if caller.project is not None:
        is_asked = where.projects is None or caller.project in where.projects
        where = replace(where, projects=(caller.project,) if is_asked else ())
    return where

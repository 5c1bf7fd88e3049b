"""Whether tenant and project of a principal are there and active, and its address is allowed."""

from serving.contract.errors import Forbidden, Unauthenticated
from serving.contract.principal import Principal
from serving.identity.addresses import Networks, is_within
from serving.identity.directory import Directory


def check_home(principal: Principal, directory: Directory) -> None:
    """Raises Unauthenticated unless its tenant and project are there, active and belong together.

    Only for who has proved to be the principal: the message says what is wrong.
    """
    if principal.tenant is not None:
        tenant = directory.tenant(principal.tenant)
        if tenant is None or not tenant.is_active:
            raise Unauthenticated(
                f"the tenant '{principal.tenant}' is not active: ask who runs this service"
            )
    if principal.project is not None:
        project = directory.project(principal.project)
        if project is None or not project.is_active or project.tenant != principal.tenant:
            raise Unauthenticated(
                f"the project '{principal.project}' is not active: ask an admin of its tenant"
            )


def check_address(address: str | None, networks: Networks | None) -> None:
    """Raises Forbidden for an address outside of `networks`; None: any will do."""
    if networks is not None and not is_within(address, networks):
        raise Forbidden(
            f"this key may not be used from the address {address or 'of this connection'}: "
            "use it from its networks, or have its 'cidrs' changed"
        )

"""From which address a request comes."""

from starlette.requests import HTTPConnection

from control_plane.settings import ControlSettings
from serving.identity.addresses import client_address, networks_of


def address_of(request: HTTPConnection, settings: ControlSettings) -> str | None:
    """The peer's, or what trusted proxies say stands behind it."""
    peer = request.client.host if request.client else None
    forwarded = request.headers.getlist("x-forwarded-for")
    return client_address(peer, forwarded, networks_of(settings.trusted_proxies))

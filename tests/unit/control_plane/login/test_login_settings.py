"""How logins are set up."""

import pytest

from control_plane.login.settings import LoginSettings
from serving.settings.base import BadSettings, load


@pytest.mark.parametrize(
    ("public_url", "origin", "is_secure"),
    [
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090", False),
        ("https://Conch.test/", "https://conch.test", True),
        ("https://conch.test:443/control/", "https://conch.test", True),
        ("https://conch.test:8443", "https://conch.test:8443", True),
        ("http://[::1]:80", "http://[::1]", False),
    ],
)
def test_the_origin_is_as_browsers_say_it(public_url: str, origin: str, is_secure: bool) -> None:
    settings = LoginSettings(public_url=public_url)
    assert (settings.origin, settings.is_secure) == (origin, is_secure)
    assert settings.redirect_uri == f"{public_url.rstrip('/')}/login/callback"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"public_url": "conch.test"}, "CONTROL_PUBLIC_URL='conch.test'"),
        ({"public_url": "ftp://conch.test"}, "CONTROL_PUBLIC_URL"),
        ({"public_url": "https://conch.test?x=1"}, "CONTROL_PUBLIC_URL"),
        ({"oidc_issuer": "https://idp.test"}, "CONTROL_OIDC_CLIENT_ID belong together"),
        ({"oidc_client_id": "conch"}, "CONTROL_OIDC_CLIENT_ID belong together"),
        ({"session_s": 0}, "CONTROL_SESSION_S"),
    ],
)
def test_what_cannot_be_used_is_named(given, says: str) -> None:
    with pytest.raises(BadSettings, match=says.replace("?", r"\?")):
        load(LoginSettings, **given)

"""Which requests with a cookie the person in front of the browser has meant."""

import pytest

from control_plane.login.same_site import check_origin
from serving.contract.errors import Forbidden

SITE = "https://conch.test"


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE", "CONNECT", "get"])
@pytest.mark.parametrize(
    ("headers", "is_meant"),
    [
        ({}, False),
        ({"origin": "https://evil.test"}, False),
        ({"origin": "https://conch.test.evil.test"}, False),
        ({"origin": "http://conch.test"}, False),
        ({"origin": "https://conch.test:8443"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": SITE, "sec-fetch-site": "cross-site"}, False),
        ({"origin": "https://evil.test", "sec-fetch-site": "same-origin"}, False),
        ({"referer": f"{SITE}/"}, False),
        ({"origin": SITE}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"origin": SITE, "sec-fetch-site": "same-origin"}, True),
    ],
)
def test_only_our_own_pages_change_anything(method: str, headers, is_meant: bool) -> None:
    if is_meant:
        check_origin(method, headers, SITE)
        return
    with pytest.raises(Forbidden, match=r"from pages of https://conch\.test only"):
        check_origin(method, headers, SITE)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_what_changes_nothing_may_come_from_anywhere(method: str) -> None:
    check_origin(method, {"origin": "https://evil.test"}, SITE)

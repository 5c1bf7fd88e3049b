"""Hosts of a list, and the ways to write a URL that leads elsewhere."""

import pytest

from serving.guardrails.tools.hosts import is_allowed

HOSTS = ("good.com", "*.good.org", "ftp://files.good.com", "local:8000", "127.0.0.1")


@pytest.mark.parametrize(
    "target",
    [
        "good.com",
        "GOOD.com",
        "good.com.",
        "good.com:443",
        "good.com/path",
        "http://good.com",
        "https://Good.Com/a?b=c#d",
        "HTTPS://good.com:443/",
        "http://good.com:80",
        "https://good.com/@user",
        "https://good.com/?mail=a@b.c",
        "https://api.good.org/x",
        "https://a.b.good.org",
        "ftp://files.good.com/x",
        "http://local:8000/x",
        "http://127.0.0.1/",
    ],
)
def test_a_host_of_the_list_passes(target: str):
    assert is_allowed(target, HOSTS)


@pytest.mark.parametrize(
    "target",
    [
        "",
        "evil.com",
        "https://evil.com/good.com",
        "http://good.com@evil.com",
        "http://good.com:80@evil.com",
        "http://user:pw@good.com",
        "http://good.com#@evil.com/",
        "http://good.com?@evil.com/",
        "http://evil.com#good.com",
        "http://evil.com\\@good.com",
        "http://good.com\\.evil.com",
        "http://good.com.evil.com",
        "http://evilgood.com",
        "http://good.com..",
        "http://.good.com",
        "https://good.org",
        "https://evilgood.org",
        "https://.good.org",
        "http://good.com%00.evil.com",
        "http://evil.com%23.good.org",
        "http://good.com%2eevil.com",
        "http://good.com:8080/",
        "https://good.com:80/",
        "http://good.com:99999999",
        "http://local/",
        "http://local:8001/",
        "ftp://good.com",
        "http://files.good.com",
        "file:///etc/passwd",
        "file://good.com/etc/passwd",
        "javascript:alert(1)",
        "data:text/html,x",
        "gopher://good.com",
        "//good.com",
        "http:good.com",
        "http:/good.com",
        "http:///evil.com",
        "https:///good.com",
        "http://",
        " http://good.com",
        "http://good.com ",
        "http://good.com\n.evil.com",
        "http://go\tod.com",
        "http://good。com",
        "http://ｇood.com",
        "http://bücher.de",
        "http://goo\u200bd.com",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://*.good.org/",
        "*.good.org",
        "http://KELVIN\u212a.good.org",
        "http://good.com/" + "x" * 10_000,
    ],
)
def test_what_leads_elsewhere_or_may_does_not_pass(target: str):
    assert not is_allowed(target, HOSTS)


def test_without_hosts_none_passes():
    assert not is_allowed("https://good.com", ())


def test_an_entry_that_is_no_host_lets_nothing_through():
    assert not is_allowed("https://good.com", ("*", "", "good.com/path", "http://"))

"""Whether a URL, or the name of a host, leads to a host of a list. Pure, without any look-up."""

import re
from collections.abc import Iterable

SCHEMES = {"http": 80, "https": 443}
MAX_CHARACTERS = 8192
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_PLACE = (
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?P<below>\*\.)?"
    rf"(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])\.?(?::(?P<port>[0-9]{{1,5}}))?"
)
_FLAGS = re.IGNORECASE | re.ASCII
_ALLOWED = re.compile(_PLACE, _FLAGS)
_TARGET = re.compile(_PLACE + r"(?P<rest>[/?#].*)?", _FLAGS)


def is_allowed(target: str, hosts: Iterable[str]) -> bool:
    """`target` is a URL or a host; one of `hosts` is a name, or `*.name` for all below it.

    Both have to be in ASCII (`xn--…`). With a scheme or a port in `hosts` they have to be the same,
    without them it has to be http or https on their own ports. False for all that programs read in
    different ways: user names, backslashes, encoded or odd forms.
    """
    if len(target) > MAX_CHARACTERS or not _is_plain(target):
        return False
    match = _TARGET.fullmatch(target)
    if match is None or match["below"] or not _is_one_host(match["rest"] or ""):
        return False
    rules = map(_ALLOWED.fullmatch, hosts)
    return any(_fits(match, rule) for rule in rules if rule is not None)


def _is_plain(target: str) -> bool:
    return target.isprintable() and " " not in target and "\\" not in target


def _is_one_host(rest: str) -> bool:
    """Some take what stands before an `@` for a user name even after `?` and `#`."""
    return "@" not in rest or rest.startswith("/")


def _fits(target: re.Match[str], rule: re.Match[str]) -> bool:
    host, wanted = target["host"].lower(), rule["host"].lower()
    if not (host.endswith(f".{wanted}") if rule["below"] else host == wanted):
        return False
    scheme, only = (target["scheme"] or "").lower(), (rule["scheme"] or "").lower()
    if scheme and scheme not in ([only] if only else SCHEMES):
        return False
    return _is_port(target["port"], rule["port"], scheme or only)


def _is_port(port: str | None, wanted: str | None, scheme: str) -> bool:
    own = [number for name, number in SCHEMES.items() if scheme in ("", name)]
    if wanted is None:
        return port is None or int(port) in own
    return int(wanted) in (own if port is None else [int(port)])

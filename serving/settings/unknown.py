"""Variables that look like ours and are not: most often a slip of the pen."""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

PREFIXES = ("CONCH_", "GATEWAY_", "CONTROL_", "TRITON_", "REDIS_", "DATABASE_")
# What Kubernetes says about services of these names.
SERVICE = re.compile(r".*_(SERVICE_(HOST|PORT)(_\w+)?|PORT_\d+_(TCP|UDP)(_\w+)?)")


def unknown(names: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    """A line for each of `names` that has a prefix of ours and is not known."""
    known = sorted(known)
    for name in sorted(names):
        is_ours = name.startswith(PREFIXES) and not SERVICE.fullmatch(name)
        if is_ours and name not in known:
            yield f"{name} is no variable of Conch{_meant(name, known)}"


def _meant(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.8)
    return f"; did you mean {close[0]}?" if close else ""

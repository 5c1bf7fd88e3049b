"""Ids of requests as people write them: as much of the start as tells one from the others."""

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

from serving.contract.control import RequestItem
from serving.stack.errors import StackError

SHORTEST = 12  # of a gateway's id: `req_` and 8 of its 24 digits
NAMED = 5
_OF_A_CALL = re.compile(r"-[0-9a-f]{16}$")  # what a gateway adds to its own id


def shortened(ids: Iterable[str]) -> dict[str, str]:
    """For each id the start that no other one has; all of it where another one goes on from it."""
    ordered = sorted(set(ids))
    needed = dict.fromkeys(ordered, SHORTEST)
    for pair in pairwise(ordered):
        apart = _alike(*pair) + 1
        needed |= {each: max(needed[each], apart) for each in pair}
    return {each: each[:length] for each, length in needed.items()}


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    shorter = min(len(one), len(other))
    return next((n for n in range(shorter) if one[n] != other[n]), shorter)


def whole(given: str, items: Collection[RequestItem]) -> str:
    """The id that `given` is the start of. Raises StackError where there is none, or several.

    A gateway's own id stays as it is, for all calls that it made of one request.
    """
    if not given:
        raise StackError("the id is empty; `conch requests list` shows all")
    begun = [item for item in items if item.id.startswith(given)]
    ids = sorted({item.id for item in begun})
    if not ids:
        raise StackError(f"no request '{given}' waits or runs; `conch requests list` shows all")
    if len(ids) == 1:
        return ids[0]
    if given in ids or _are_one_request(given, begun):
        return given
    raise StackError(f"'{given}' could be any of {_named(ids, items)}; give more of its id")


def _are_one_request(given: str, items: Sequence[RequestItem]) -> bool:
    # Clients may choose a gateway's id, so two tenants may have the same one.
    origins = {(_OF_A_CALL.sub("", item.id), item.tenant) for item in items}
    return len(origins) == 1 and next(iter(origins))[0] == given


def _named(ids: Sequence[str], items: Iterable[RequestItem]) -> str:
    short = shortened(item.id for item in items)
    names = ", ".join(short[each] for each in ids[:NAMED])
    more = len(ids) - NAMED
    return f"{names} and {more} more" if more > 0 else names

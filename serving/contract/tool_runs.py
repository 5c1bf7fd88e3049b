"""What the gateway knows of a run of calls of tools, which no message of the request tells."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ToolRun:
    """Of the session: whether an untrusted text is in it, and how many calls were passed on.

    `approved`: of calls that a person has approved, as `approval_of` has them. `rates_left`: how
    often a tool can still be called this minute; tools that are not in it are not limited.
    """

    approved: tuple[str, ...] = ()
    is_tainted: bool = False
    calls_made: int = 0
    rates_left: Mapping[str, int] | None = None


NOTHING = ToolRun()

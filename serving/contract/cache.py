"""The response cache as an operator sets it and as a client may narrow it."""

from dataclasses import dataclass
from enum import StrEnum

LONGEST_TTL_S = 7 * 24 * 3600


class CacheMode(StrEnum):
    """Which answers are given again."""

    OFF = "off"
    EXACT = "exact"  # those to the very same request


class CacheScope(StrEnum):
    """Who shares answers with whom."""

    PROJECT = "project"
    TENANT = "tenant"
    SHARED = "shared"  # everybody


class CacheOutcome(StrEnum):
    """What became of a request at the cache, as headers, events and metrics have it."""

    HIT = "hit"
    MISS = "miss"
    BYPASS = "bypass"


@dataclass(frozen=True, slots=True)
class CacheWish:
    """What a client says of it. `is_kept` False: neither look for an answer nor keep one.

    `max_age_s`: how old an answer may be; 0: make a new one, None: as old as the policy allows.
    `is_allowed`: also where the answer is sampled, so that another one could have come.
    """

    is_kept: bool = True
    max_age_s: int | None = None
    is_allowed: bool = False


NO_WISH = CacheWish()

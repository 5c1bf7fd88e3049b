"""Priority classes as ranks: 0 is the highest."""

from serving.contract.grant import CLASSES, STANDARD

RANKS = {name: rank for rank, name in enumerate(CLASSES)}
INTERACTIVE = 0
AGENT = RANKS["agent"]


def rank_of(asked: str | None, ceiling: str) -> int:
    """The class that counts: the one asked for, or standard, but none above the ceiling."""
    return max(RANKS[asked or STANDARD], RANKS[ceiling])

"""How workers wait for what is away."""

import random

FIRST_S = 0.1
LONGEST_S = 1.0


def pause_s(failures: int) -> float:
    """How long to wait after that many failures in a row, with jitter."""
    longest = min(LONGEST_S, FIRST_S * 2.0 ** min(failures - 1, 10))
    return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads retries, hides nothing

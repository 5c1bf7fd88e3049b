"""When sessions start: moments with a mean gap of 1, to be stretched to any rate."""

from enum import StrEnum

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.float64]

GAMMA_VARIATION = 3.0  # standard deviation of a gap over its mean
BUSY_SHARE = 0.25  # of the time, in which everything comes
PHASE_GAPS = 20.0  # the mean length of a busy phase, in mean gaps


class Arrivals(StrEnum):
    """Poisson: independent of one another. Gamma: in clumps. On-off: in phases, or not at all."""

    POISSON = "poisson"
    GAMMA = "gamma"
    ON_OFF = "on-off"


def times(arrivals: Arrivals, count: int, rng: np.random.Generator) -> Times:
    """`count` moments in order, at the mean rate of 1."""
    match arrivals:
        case Arrivals.POISSON:
            return np.cumsum(rng.exponential(1.0, count))
        case Arrivals.GAMMA:
            shape = GAMMA_VARIATION**-2
            return np.cumsum(rng.gamma(shape, 1 / shape, count))
        case Arrivals.ON_OFF:
            return _with_silences(np.cumsum(rng.exponential(BUSY_SHARE, count)), rng)


def _with_silences(busy: Times, rng: np.random.Generator) -> Times:
    """Moments on a clock that runs in busy phases only, on one that runs always."""
    phases = int(busy[-1] / PHASE_GAPS) * 2 + 16
    ends = np.cumsum(rng.exponential(PHASE_GAPS, phases))
    silences = rng.exponential(PHASE_GAPS * (1 / BUSY_SHARE - 1), phases)
    before = np.concatenate([[0.0], np.cumsum(silences)])
    moments: Times = busy + before[np.searchsorted(ends, busy)]
    return moments

"""How well scores tell attacks from harmless texts, and how odds become scores. Pure."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
STEPS = 200


def threshold(harmless: Array, false_positives: float) -> float:
    """What that share of the harmless texts exceeds."""
    return float(np.quantile(harmless, 1 - false_positives))


def highest(odds: Array, numbers: npt.NDArray[np.intp]) -> Array:
    """The highest of each text's windows; `numbers` say which text a window is of."""
    _, places = np.unique(numbers, return_inverse=True)
    found = np.full(places.max() + 1, -np.inf, np.float32)
    np.maximum.at(found, places, odds)
    return found


def rate(odds: Array, which: Mask, least: float) -> float:
    """The share of `which` that reach `least`."""
    return float((odds[which] >= least).mean()) if which.any() else 0.0


def slope(odds: Array, is_attack: Mask, least: float) -> float:
    """By how much odds grow per unit beyond `least`: Platt's scaling with a fixed middle, by
    Newton's method; both classes count the same."""
    beyond = (odds - least).astype(np.float64)
    weight = np.where(is_attack, 0.5 / is_attack.sum(), 0.5 / (~is_attack).sum())
    found = 1.0
    for _ in range(STEPS):
        said = 1 / (1 + np.exp(-found * beyond))
        down = (weight * (said - is_attack) * beyond).sum()
        curve = (weight * said * (1 - said) * beyond**2).sum() + 1e-9
        step = down / curve
        found = max(0.05, found - float(np.clip(step, -0.5, 0.5)))
        if abs(step) < 1e-6:
            break
    return found

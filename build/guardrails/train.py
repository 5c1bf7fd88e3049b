"""Train the attack classifier: `python build/guardrails/train.py`; it writes the weights.

Settings and the calibration come from the training texts alone: each is scored by networks that
have not seen its template. The evaluation's texts are not looked at.
"""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from guardrails.corpus import corpus
from guardrails.embedding import embedded
from guardrails.examples import Example, digest, examples, targets
from guardrails.learning import Array, Lesson, Settings, learned, weights
from guardrails.measures import highest, rate, slope, threshold
from guardrails.sparse import Words
from serving.guardrails.meaning import WEIGHTS, Classifier

SEED = 6
FOLDS = 5
FALSE_POSITIVES = 0.02  # texts
OUTPUTS = ("typed", "untrusted")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    texts = corpus("train")
    found = examples(texts)
    lesson = _lesson(found)
    unseen = _odds_unseen(found, lesson)
    network = learned(lesson, Settings(), seed=SEED)
    write(calibrated(network, unseen, found), digest(texts), options.out)
    print(f"{len(found)} windows of training texts; {options.out}: {options.out.stat().st_size} B")


def _lesson(found: Sequence[Example]) -> Lesson:
    texts = [one.text for one in found]
    weight = weights([(one.template[0], one.group) for one in found])
    return Lesson(embedded(texts), Words.in_texts(texts), targets(found), weight)


def fold(one: Example) -> int:
    """All texts of a template are in one."""
    return hashlib.sha256(repr(one.template).encode()).digest()[0] % FOLDS


def _odds_unseen(found: Sequence[Example], lesson: Lesson) -> Array:
    folds = np.array([fold(one) for one in found])
    odds = np.zeros_like(lesson.wanted)
    for number in range(FOLDS):
        out = folds == number
        network = learned(lesson.of(~out), Settings(), seed=SEED)
        unseen = lesson.of(out)
        odds[out] = network.odds(unseen.vectors, unseen.words.sums(network.words))
    return odds


def calibrated(network: Classifier, unseen: Array, found: Sequence[Example]) -> Classifier:
    """So that odds of 1 to 1 are what FALSE_POSITIVES of the harmless texts reach."""
    outer, bias, words = (one.copy() for one in (network.outer, network.outer_bias, network.words))
    wanted, numbers = targets(found), np.array([one.number for one in found])
    is_harmless = np.array([not one.template[0] for one in found])
    for column, output in enumerate(OUTPUTS):
        known = ~np.isnan(wanted[:, column])
        odds, is_attack = unseen[known, column], wanted[known, column] == 1
        harmless = known & is_harmless
        worst = highest(unseen[harmless, column], numbers[harmless])
        least = threshold(worst, FALSE_POSITIVES)
        steep = slope(odds, is_attack, least)
        outer[..., column] *= steep
        bias[column] = (bias[column] - least) * steep
        words[:, column] *= steep
        print(f"{output}: {rate(odds, is_attack, least):.3f} of unseen templates' attacks found")
    return Classifier(network.inner, network.inner_bias, outer, bias, words)


def write(network: Classifier, texts: str, path: Path) -> None:
    """In half precision, which changes scores by less than a thousandth.

    `texts` is the digest of those that it learned from.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: getattr(network, name) for name in Classifier.__slots__}
    halves = {name: array.astype(np.float16) for name, array in arrays.items()}
    np.savez_compressed(path, corpus=np.array(texts), **halves)


if __name__ == "__main__":
    main()

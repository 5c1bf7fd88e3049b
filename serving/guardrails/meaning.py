"""What texts come to by their meaning: attacks and topics, out of the vectors of their windows.

The vectors are computed elsewhere, by the model `embedding`: unit vectors of all-MiniLM-L6-v2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from serving.contract.guardrails import UNTRUSTED, Check, CheckKind, Stage, Verdict
from serving.guardrails.meaning_windows import Window
from serving.guardrails.meaning_words import Features, features

WEIGHTS = Path(__file__).parent / "classifier" / "weights.npz"
THRESHOLD = 0.5  # of both kinds, where a check has none
# Cosines of two texts on one topic and on two: they become the scores 1 and 0.
SAME, OTHER = 0.75, 0.05
_READ = {
    CheckKind.CLASSIFIER: (Stage.INPUT, *UNTRUSTED),
    CheckKind.TOPICS: (Stage.INPUT, *UNTRUSTED, Stage.OUTPUT),
}

Vectors = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Classifier:
    """Networks of one hidden layer on a vector of a text's meaning, whose outputs are averaged, and
    on top of them a weight for each of the text's words and pairs of words.

    There are two outputs: whether a text is an attack that somebody types, and whether it is an
    instruction where there should be none, in an untrusted text. Shapes: `inner` [nets, 384,
    hidden], `inner_bias` [nets, hidden], `outer` [nets, hidden, 2], `outer_bias` [2],
    `words` [BUCKETS, 2].

    A score is calibrated on training texts whose templates a network had not seen: 0.5 is what 2 %
    of the harmless texts exceed, and from there scores rise as the odds of an attack do (Platt's
    scaling with a fixed middle). A text's score is that of its highest window.
    """

    inner: Vectors
    inner_bias: Vectors
    outer: Vectors
    outer_bias: Vectors
    words: Features

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> Self:
        with np.load(path) as arrays:
            return cls(*(arrays[name].astype(np.float32) for name in cls.__slots__))

    def scores(self, vectors: Vectors, windows: Sequence[Window]) -> Scores:
        """From 0 to 1 for each of the windows, whose texts have `vectors` [n, 384]."""
        odds = self.odds(vectors, features([window.text for window in windows]) @ self.words)
        column = np.array([int(window.stage in UNTRUSTED) for window in windows], np.intp)
        scores: Scores = 1 / (1 + np.exp(-odds[np.arange(len(odds)), column]))
        return scores

    def odds(self, vectors: Vectors, by_words: Scores) -> Scores:
        """The logarithms of both outputs' odds, [n, 2]; `by_words` [n, 2] is what the words say."""
        hidden = np.maximum(vectors @ self.inner + self.inner_bias[:, None], 0)
        averaged: Scores = (hidden @ self.outer).mean(0) + self.outer_bias + by_words
        return averaged


@cache
def classifier() -> Classifier:
    """The one that Conch comes with, loaded once."""
    return Classifier.load()


def topic_scores(vectors: Vectors, examples: Vectors) -> Scores:
    """How near each vector is to the nearest of the examples' vectors, from 0 to 1."""
    nearest = (vectors @ examples.T).max(1, initial=-1.0)
    scores: Scores = np.clip((nearest - OTHER) / (SAME - OTHER), 0, 1)
    return scores


def is_read(check: Check, stage: Stage) -> bool:
    """Whether a check by meaning looks at texts of a stage."""
    return stage in (check.stages or _READ[check.kind])


def judged(
    check: Check, policy: str, windows: Sequence[Window], scores: Sequence[float] | Scores
) -> tuple[Verdict, ...]:
    """One verdict for each text in which a window's score reaches the check's threshold: the
    highest. `policy` is `<id>@<version>`."""
    highest: dict[tuple[Stage, int | None], Verdict] = {}
    least = THRESHOLD if check.threshold is None else check.threshold
    for window, score in zip(windows, scores, strict=True):
        of = (window.stage, window.place)
        best = highest[of].score if of in highest else least
        if is_read(check, window.stage) and score >= best:
            highest[of] = _verdict(check, policy, window, float(score))
    return tuple(highest.values())


def _verdict(check: Check, policy: str, window: Window, score: float) -> Verdict:
    return Verdict(
        check.name or check.kind.value,
        window.stage,
        check.action,
        round(score, 4),
        policy,
        place=window.place,
        begin=window.begin,
        end=window.end,
    )

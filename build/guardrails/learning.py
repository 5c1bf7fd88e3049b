"""How the classifier learns: small networks in NumPy, the same ones for the same seed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guardrails.sparse import Which, Words
from serving.guardrails.meaning import Classifier
from serving.guardrails.meaning_words import BUCKETS

Array = npt.NDArray[np.float32]
NETS = 3
WORD_SCALE = np.float32(3)
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True, slots=True)
class Settings:
    hidden: int = 128
    epochs: int = 12
    batch: int = 128
    rate: float = 0.03
    decay: float = 0.3  # of the weights, a step and a unit of the rate
    dropout: float = 0.4
    jitter: float = 0.004  # added to every number of a vector, about 0.05 in size
    word_rate: float = 0.04
    word_dropout: float = 0.5


def weights(groups: Sequence[tuple[bool, str]]) -> Array:
    """Groups count by the root of their size, and attacks in all as much as harmless texts."""
    size = Counter(groups)
    each = np.array([size[group] ** -0.5 for group in groups], np.float32)
    attacks = np.array([is_attack for is_attack, _ in groups])
    for side in (attacks, ~attacks):
        each[side] *= len(each) / (2 * each[side].sum())
    return each


@dataclass(frozen=True, slots=True)
class Lesson:
    """`vectors` [n, 384] and `words` of texts; `wanted` [n, 2] has NaN where nothing is to be
    learned; `weight` [n]."""

    vectors: Array
    words: Words
    wanted: Array
    weight: Array

    def of(self, which: Which) -> "Lesson":
        words = self.words.of(np.arange(len(self.weight))[which])
        return Lesson(self.vectors[which], words, self.wanted[which], self.weight[which])


def learned(lesson: Lesson, settings: Settings, *, seed: int, nets: int = NETS) -> Classifier:
    """Not calibrated."""
    made = [_Net(settings, seed + number).learned(lesson) for number in range(nets)]
    inner, inner_bias, outer, outer_bias, words = zip(*made, strict=True)
    return Classifier(
        np.stack(inner),
        np.stack(inner_bias),
        np.stack(outer),
        np.mean(outer_bias, 0),
        WORD_SCALE * np.mean(words, 0),
    )


class _Net:
    """One network, by Adam with decoupled decay."""

    def __init__(self, settings: Settings, seed: int) -> None:
        self._settings = settings
        self._rng = np.random.default_rng(seed)
        hidden = settings.hidden
        inner = self._rng.normal(0, 2**0.5, (384, hidden))
        outer = self._rng.normal(0, (2 / hidden) ** 0.5, (hidden, 2))
        shapes = (inner, np.zeros(hidden), outer, np.zeros(2), np.zeros((BUCKETS, 2)))
        self._weights: list[Array] = [one.astype(np.float32) for one in shapes]
        self._means = [np.zeros_like(one) for one in self._weights]
        self._squares = [np.zeros_like(one) for one in self._weights]
        self._steps = 0

    def learned(self, lesson: Lesson) -> list[Array]:
        known = ~np.isnan(lesson.wanted)
        weight = (lesson.weight[:, None] * known).astype(np.float32)
        lesson = Lesson(lesson.vectors, lesson.words, np.nan_to_num(lesson.wanted), weight)
        size = len(lesson.vectors)
        batches = -(-size // self._settings.batch)
        for _ in range(self._settings.epochs):
            for part in np.array_split(self._rng.permutation(size), batches):
                self._step(self._slopes(lesson.of(part)), self._settings.epochs * batches)
        return self._weights

    def _kept(self, shape: tuple[int, ...], dropout: float) -> npt.NDArray[np.bool_]:
        return self._rng.random(shape, dtype=np.float32) >= dropout

    def _slopes(self, lesson: Lesson) -> list[Array]:
        inner, inner_bias, outer, outer_bias, by_word = self._weights
        noise = self._rng.normal(0, self._settings.jitter, lesson.vectors.shape)
        vectors = lesson.vectors + noise.astype(np.float32)
        kept = self._kept(lesson.words.values.shape, self._settings.word_dropout)
        words = lesson.words.scaled(WORD_SCALE * kept)
        left = np.float32(1 - self._settings.dropout)
        hidden = np.maximum(vectors @ inner + inner_bias, 0)
        hidden = hidden * self._kept(hidden.shape, self._settings.dropout) / left
        said = 1 / (1 + np.exp(-(hidden @ outer + outer_bias + words.sums(by_word))))
        miss = (said - lesson.wanted) * lesson.weight / np.float32(len(vectors))
        back = (miss @ outer.T) * (hidden > 0) / left
        return [vectors.T @ back, back.sum(0), hidden.T @ miss, miss.sum(0), words.spread(miss)]

    def _step(self, slopes: Sequence[Array], total: int) -> None:
        left = 1 - self._steps / total
        self._steps += 1
        rates = [self._settings.rate * left] * 4 + [self._settings.word_rate * left]
        for number, (slope, rate) in enumerate(zip(slopes, rates, strict=True)):
            mean, square = self._means[number], self._squares[number]
            mean += (1 - BETA1) * (slope - mean)
            square += (1 - BETA2) * (slope * slope - square)
            ahead = mean / (1 - BETA1**self._steps)
            spread = np.sqrt(square / (1 - BETA2**self._steps)) + EPSILON
            shrunk = self._weights[number] * np.float32(1 - rate * self._settings.decay)
            self._weights[number] = (shrunk - np.float32(rate) * ahead / spread).astype(np.float32)

"""The words of many texts as what is there of each: nearly all buckets of a text are empty."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from serving.guardrails.meaning_words import BUCKETS, features

Array = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]
Which = npt.NDArray[np.bool_] | Indices
AT_ONCE = 512  # texts


@dataclass(frozen=True, slots=True)
class Words:
    """`values` at `places` of BUCKETS; those of text i are from `begins[i]` to `begins[i + 1]`."""

    begins: Indices
    places: Indices
    values: Array

    @classmethod
    def in_texts(cls, texts: Sequence[str]) -> Self:
        sizes, places, values = [np.zeros(1, np.intp)], [], []
        for begin in range(0, len(texts), AT_ONCE):
            found = features(texts[begin : begin + AT_ONCE])
            there = found.nonzero()
            sizes.append(np.bincount(there[0], minlength=len(found)))
            places.append(there[1])
            values.append(found[there])
        begins = np.cumsum(np.concatenate(sizes))
        return cls(begins, np.concatenate(places), np.concatenate(values))

    def of(self, which: Indices) -> "Words":
        sizes = np.diff(self.begins)[which]
        ends = np.cumsum(sizes)
        offsets = np.repeat(self.begins[which] - (ends - sizes), sizes)
        there = np.arange(len(offsets)) + offsets
        return Words(np.concatenate([[0], ends]), self.places[there], self.values[there])

    def scaled(self, factors: Array) -> "Words":
        return Words(self.begins, self.places, (self.values * factors).astype(np.float32))

    def sums(self, by_word: Array) -> Array:
        """The product with `by_word` [BUCKETS, m], [texts, m]."""
        texts = self._texts()
        columns = [
            np.bincount(texts, self.values * column[self.places], len(self.begins) - 1)
            for column in by_word.T
        ]
        return np.stack(columns, 1).astype(np.float32)

    def spread(self, by_text: Array) -> Array:
        """The product of this, turned over, with `by_text` [texts, m]: [BUCKETS, m]."""
        texts = self._texts()
        columns = [
            np.bincount(self.places, self.values * column[texts], BUCKETS) for column in by_text.T
        ]
        return np.stack(columns, 1).astype(np.float32)

    def _texts(self) -> Indices:
        return np.repeat(np.arange(len(self.begins) - 1), np.diff(self.begins))

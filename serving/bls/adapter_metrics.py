"""What becomes of requests with an adapter: for Triton's metrics, and for `adapters.stats`."""

from collections import Counter
from typing import Any

from serving.bls.metrics import Families, Observe

MOST_NAMES = 64
OTHER = "other"
_MS_BUCKETS = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000)

_COUNTED = {
    "hits": "Requests whose adapter the engine had",
    "misses": "Requests that had to send their adapter's weights",
    "reloads": "Misses of an adapter that the engine was believed to have",
}


class AdapterMetrics:
    """One model's. Of names, only the first `MOST_NAMES` have counters of their own."""

    def __init__(self, families: Families, model: str) -> None:
        self._families = families
        self._model = model
        self._counters: dict[tuple[str, str], Observe] = {}
        self._names: set[str] = set()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._loads_ms = 0.0
        self._evictions = families.counter(
            "conch_adapter_evictions_total", "Adapters believed to have left the engine", model
        )
        self._load_ms = families.histogram(
            "conch_adapter_load_ms",
            "From sending an adapter's weights to the first token",
            model,
            _MS_BUCKETS,
        )
        self.resident = families.gauge(
            "conch_adapters_resident", "Adapters the engine is believed to have", model
        )
        self.resident(0)

    def hit(self, name: str) -> None:
        self._count("hits", name)

    def miss(self, name: str, load_ms: float) -> None:
        self._count("misses", name)
        self._load_ms(load_ms)
        self._loads_ms += load_ms

    def reload(self, name: str) -> None:
        self._count("reloads", name)

    def evict(self, how_many: int) -> None:
        self._counts["evictions", ""] += how_many
        self._evictions(how_many)

    def counts(self) -> dict[str, Any]:
        """Since the model was loaded; `by_adapter` has at most `MOST_NAMES` and the others."""
        total: Counter[str] = Counter()
        for (kind, _), count in self._counts.items():
            total[kind] += count
        misses = total["misses"]
        return {
            **{kind: total[kind] for kind in (*_COUNTED, "evictions")},
            "load_ms_mean": round(self._loads_ms / misses, 3) if misses else None,
            "by_adapter": {
                name: {kind: self._counts[kind, name] for kind in _COUNTED}
                for name in sorted({name for _, name in self._counts if name})
            },
        }

    def _count(self, kind: str, name: str) -> None:
        label = self._label(name)
        self._counts[kind, label] += 1
        counter = self._counters.get((kind, label))
        if counter is None:
            counter = self._families.counter(
                f"conch_adapter_{kind}_total", _COUNTED[kind], self._model, adapter=label
            )
            self._counters[kind, label] = counter
        counter(1)

    def _label(self, name: str) -> str:
        if name not in self._names and len(self._names) >= MOST_NAMES:
            return OTHER
        self._names.add(name)
        return name

"""What the engine model tells Triton's metrics about its adapters."""

from serving.adapters.python_backend import counter, gauge, histogram
from serving.engines.messages import LoraNews

LOAD_BUCKETS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class LoraMetrics:
    """Of one engine model."""

    def __init__(self, model: str) -> None:
        self._resident = gauge("conch_engine_lora_resident", "Adapters in the engine", model)
        self._loads = counter("conch_engine_lora_loads", "Adapters that were loaded", model)
        self._evictions = counter(
            "conch_engine_lora_evictions", "Adapters that made room for others", model
        )
        self._load_s = histogram(
            "conch_engine_lora_load_seconds",
            "From an adapter's turn to load to its readiness",
            model,
            LOAD_BUCKETS_S,
        )

    def show(self, news: LoraNews) -> None:
        self._resident(news.resident)
        self._evictions(news.evictions)
        for load_s in news.load_s:
            self._loads(1)
            self._load_s(load_s)

"""What Prometheus is told of the response cache."""

from prometheus_client import CollectorRegistry, Counter, Histogram

LOOK_UP_S = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1)


class CacheMetrics:
    """Reasons and results are closed sets."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"conch_gateway_cache_{name}", what, labels, registry=registry)

        self.hits = counter("hits", "Requests answered with an answer that was there")
        self.misses = counter("misses", "Requests for which one had to be made")
        self.joins = counter("joins", "Requests that joined an equal one that was being answered")
        self.bypasses = counter("bypasses", "Requests that went by it, by reason", "reason")
        self.stores = counter(
            "stores",
            "Answers that were made, by what became of them: stored, unfit, too_large, busy, "
            "changed, purged, no_room or failed",
            "result",
        )
        self.bytes = counter("stored_bytes", "Bytes of answers that were stored")
        self.evictions = counter("evictions", "Answers that gave way to others")
        self.errors = counter("errors", "Look-ups that Redis did not answer, or not soon enough")
        self.look_up = Histogram(
            "conch_gateway_cache_look_up_seconds",
            "How long a look-up took, from asking to the answer of Redis",
            registry=registry,
            buckets=LOOK_UP_S,
        )

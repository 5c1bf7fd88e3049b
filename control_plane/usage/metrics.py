"""The metric families of the usage workers, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class UsageMetrics:
    """Labels come from closed sets: statuses, kinds of rows, what can be away."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lag = Gauge(
            "conch_control_usage_lag",
            "Usage events in Redis that are not in the database yet",
            registry=registry,
        )
        self.events = _counter(registry, "events", "Usage events written", "status")
        self.replaced = _counter(registry, "replaced", "Lost events that settled ones replaced")
        self.repeated = _counter(registry, "repeated", "Usage events that were known already")
        self.dead_letters = _counter(registry, "dead_letters", "Entries that could not be stored")
        self.reaped = _counter(registry, "reaped", "Leases that expired and became lost events")
        self.contents = _counter(registry, "contents", "Prompts and answers read", "outcome")
        self.removed = _counter(registry, "removed", "Rows deleted after their time", "kind")
        self.failures = _counter(registry, "failures", "Times that a worker had to wait", "away")


def _counter(registry: CollectorRegistry, name: str, what: str, *labels: str) -> Counter:
    return Counter(f"conch_control_usage_{name}", what, labels, registry=registry)

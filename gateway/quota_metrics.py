"""What Prometheus is told of quotas and usage."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

ROUND_TRIP_S = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5)


class QuotaMetrics:
    """Reasons are codes of errors, a closed set."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.refused = Counter(
            "conch_gateway_quota_refused",
            "Requests refused by a quota, by the code of the error",
            ("reason",),
            registry=registry,
        )
        self.allowed = Counter(
            "conch_gateway_quota_allowed_unasked",
            "Requests let through on the local allowance while Redis was away",
            registry=registry,
        )
        self.dropped = Counter(
            "conch_gateway_usage_dropped",
            "Events of refused requests that were not kept, because too much waits already",
            registry=registry,
        )
        self.round_trip = Histogram(
            "conch_gateway_quota_reserve_seconds",
            "How long reserving took, from asking to the answer of Redis",
            registry=registry,
            buckets=ROUND_TRIP_S,
        )
        self.is_redis_up = Gauge(
            "conch_gateway_redis_up", "1 while Redis answers", registry=registry
        )
        self.unsettled = Gauge(
            "conch_gateway_usage_unsettled",
            "Ended requests whose usage is not stored yet",
            registry=registry,
        )
        self.spool_bytes = Gauge(
            "conch_gateway_usage_spool_bytes",
            "Usage on local disk that waits for Redis",
            registry=registry,
        )

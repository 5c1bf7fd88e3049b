"""The metric families of the control plane, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

DURATION_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Labels come from closed sets: routes, methods, statuses, error codes."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "conch_control_requests",
            "Requests answered; reason is the error code, empty where there was no error",
            ("route", "method", "status", "reason"),
            registry=registry,
        )
        self.duration = Histogram(
            "conch_control_request_duration_seconds",
            "From the first byte of a request to the last of its answer",
            ("route",),
            registry=registry,
            buckets=DURATION_S,
        )
        self.policy_version = Gauge(
            "conch_control_policy_version",
            "The newest policy version that this process saw in Redis",
            registry=registry,
        )
        self.publish_failures = Counter(
            "conch_control_publish_failures",
            "Times that publishing policy broke off, by what was away",
            ("reason",),
            registry=registry,
        )

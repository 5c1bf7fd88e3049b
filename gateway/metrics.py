"""The metric families of one gateway process, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from gateway.policy import Policy

FIRST_TOKEN_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
BETWEEN_TOKENS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
WHOLE_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """Labels come from closed sets (endpoints, statuses, error codes), from deployed models and
    from their adapters, "" for none.
    """

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "conch_gateway_requests",
            "Requests answered; reason is the error code, empty where there was no error",
            ("endpoint", "model", "adapter", "status", "reason"),
            registry=registry,
        )
        self.in_flight = _gauge(registry, "in_flight", "endpoint", "Requests being served")
        self.cancelled = _counter(
            registry, "cancelled", "Requests cancelled, mostly by clients that hung up"
        )
        self.prompt_tokens = _counter(
            registry, "prompt_tokens", "Prompt tokens of ended requests", "adapter"
        )
        self.completion_tokens = _counter(
            registry, "completion_tokens", "Tokens they were given", "adapter"
        )
        self.verdicts = Counter(
            "conch_gateway_verdicts",
            "What guardrails came to in requests of known callers",
            ("stage", "action"),
            registry=registry,
        )
        self.first_token = _histogram(registry, "time_to_first_token", "model", FIRST_TOKEN_S)
        self.between_tokens = _histogram(registry, "inter_token", "model", BETWEEN_TOKENS_S)
        self.duration = _histogram(registry, "request_duration", "endpoint", WHOLE_S)

    def watch_policy(self, policy: Policy) -> None:
        """Tell how old the policy is that is enforced; infinite before Redis confirmed any."""
        age = Gauge(
            "conch_gateway_policy_age_seconds",
            "Seconds since Redis last confirmed that the policy in force is the newest",
            registry=self.registry,
        )
        age.set_function(lambda: policy.age_s)


def _counter(registry: CollectorRegistry, name: str, what: str, *labels: str) -> Counter:
    return Counter(f"conch_gateway_{name}", what, ("model", *labels), registry=registry)


def _gauge(registry: CollectorRegistry, name: str, label: str, what: str) -> Gauge:
    return Gauge(f"conch_gateway_{name}", what, (label,), registry=registry)


def _histogram(
    registry: CollectorRegistry, name: str, label: str, buckets: tuple[float, ...]
) -> Histogram:
    return Histogram(
        f"conch_gateway_{name}_seconds",
        f"{name.replace('_', ' ').capitalize()}, as the gateway sees it",
        (label,),
        registry=registry,
        buckets=buckets,
    )

"""Prometheus' rules are about metrics that the gateway, the control plane and BLS models have."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from control_plane.usage.metrics import UsageMetrics
from gateway.metrics import Metrics
from gateway.policy import Policy
from gateway.quota_metrics import QuotaMetrics
from serving.bls.guard_metrics import GuardMetrics
from serving.bls.queue_metrics import QueueMetrics

FOLDER = Path(__file__).parents[3] / "deploy" / "prometheus"
GROUPS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
ALERTS = [rule for rule in RULES if "alert" in rule]


def name_of(rule: dict[str, Any]) -> str:
    return str(rule.get("record") or rule["alert"])


def exported() -> set[str]:
    """The names of all samples, before any was counted."""
    metrics = Metrics()
    metrics.watch_policy(Policy())
    QuotaMetrics(metrics.registry)
    UsageMetrics(metrics.registry)
    kinds = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    own = {
        family.name + suffix
        for family in metrics.registry.collect()
        for suffix in kinds[family.type]
    }
    return own | Queued().names


class Queued:
    """The names of what a BLS model tells Triton."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        QueueMetrics(self, "demo")
        GuardMetrics(self, "demo", lambda *_: None)

    def counter(self, name: str, *_: Any, **__: str) -> Any:
        self.names.add(name)

    gauge = counter

    def histogram(self, name: str, *_: Any, **__: str) -> Any:
        self.names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}


def test_the_rule_files_are_there() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    assert config["rule_files"] == [path.name for path in FOLDER.glob("rules*.yml")]


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_a_rule_asks_for_what_is_exported_or_recorded(rule: dict[str, Any]) -> None:
    used = set(re.findall(r"\bconch[_:][\w:]+", rule["expr"])) or {"up"}
    assert used <= exported() | RECORDED | {"up"}


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_a_rule_groups_by_labels_that_its_metric_has(rule: dict[str, Any]) -> None:
    for labels in re.findall(r"by \(([^)]*)\)", rule["expr"]):
        assert set(re.split(r",\s*", labels)) <= {"model", "endpoint", "le", "reason"}


@pytest.mark.parametrize("rule", ALERTS, ids=name_of)
def test_an_alert_waits_has_a_severity_and_says_what_is_wrong(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"\d+m", rule["for"])
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"]["summary"]


def test_first_tokens_errors_and_lost_targets_are_watched() -> None:
    assert {"conch:time_to_first_token_seconds:p95", "conch:errors:ratio5m"} <= RECORDED
    assert "up == 0" in [rule["expr"] for rule in ALERTS]

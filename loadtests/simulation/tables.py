"""Reports for people, and for programs."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from loadtests.simulation.report import Report
from serving.contract.grant import CLASSES


def markdown(reports: Iterable[Report]) -> str:
    """Two tables: what each order does for the classes, and what it costs."""
    reports = list(reports)
    ttft = [
        "| class | order | requests | TTFT p50 / p90 / p99 s | goodput |",
        "|---|---|---:|---:|---:|",
        *(_class_line(name, each) for name in CLASSES for each in reports),
    ]
    whole = [
        "| order | tokens/s | all done, s | goodput | Jain | refused | preemptions | resent "
        "| recomputed | read |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *map(_order_line, reports),
    ]
    return "\n".join([*filter(None, ttft), "", *whole])


def _class_line(name: str, of: Report) -> str:
    mine = next((each for each in of.classes if each.name == name), None)
    if mine is None:
        return ""
    ttft = "–" if mine.ttft_s is None else " / ".join(f"{value:.2f}" for value in mine.ttft_s)
    return f"| {name} | {of.order} | {mine.requests} | {ttft} | {mine.goodput:.3f} |"


def _order_line(of: Report) -> str:
    return (
        f"| {of.order} | {of.tokens_per_s:.0f} | {of.simulated_s:.0f} | {of.goodput:.3f} "
        f"| {of.jain:.3f} | {of.requests - of.answered} | {of.preemptions} | {of.resent_tokens} "
        f"| {of.recomputed_tokens} | {of.read_tokens} |"
    )


def as_json(reports: Iterable[Report]) -> list[dict[str, Any]]:
    return [asdict(each) for each in reports]

"""The bench's table and ratios, as Markdown and as JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from loadtests.bench.workload import Measured

LAYERS = ("raw", "engine", "bls", "gateway")


@dataclass(frozen=True, slots=True)
class Row:
    """One layer at one number of clients: medians over the rounds."""

    layer: str
    clients: int
    tokens_per_s: float
    ratio: float
    ttft_ms: tuple[float, float]
    inter_message_ms: tuple[float, float]
    messages_per_token: float
    cpu_s_per_1000_tokens: dict[str, float]


def rows(measured: Sequence[Measured]) -> list[Row]:
    """A row for each layer and number of clients; ratios are to raw of the same round."""
    clients = sorted({m.load.clients for m in measured})
    return [_row(layer, n, measured) for n in clients for layer in LAYERS]


def _row(layer: str, clients: int, measured: Sequence[Measured]) -> Row:
    mine = [m for m in measured if m.load.layer == layer and m.load.clients == clients]
    raw = {m.load.round: m for m in measured if m.load.layer == "raw" and m.load.clients == clients}
    names = {name for m in mine for name in m.cpu_s}
    return Row(
        layer=layer,
        clients=clients,
        tokens_per_s=median(m.tokens_per_s for m in mine),
        ratio=median(m.tokens_per_s / raw[m.load.round].tokens_per_s for m in mine),
        ttft_ms=(median(m.ttft_ms(50) for m in mine), median(m.ttft_ms(99) for m in mine)),
        inter_message_ms=(
            median(m.inter_message_ms(50) for m in mine),
            median(m.inter_message_ms(99) for m in mine),
        ),
        messages_per_token=median(m.messages / m.tokens for m in mine),
        cpu_s_per_1000_tokens={
            name: median(m.cpu_s.get(name, 0.0) / m.tokens * 1000 for m in mine) for name in names
        },
    )


def markdown(table: Iterable[Row]) -> str:
    """Two tables: speed, and where the CPU time went."""
    table = list(table)
    names = sorted({n for row in table for n, s in row.cpu_s_per_1000_tokens.items() if s >= 0.005})
    speed = [
        "| clients | layer | tokens/s | × raw | TTFT p50 / p99 ms | gap p50 / p99 ms "
        "| messages/token |",
        "|---:|---|---:|---:|---:|---:|---:|",
        *map(_speed_line, table),
    ]
    cpu = [
        "| clients | layer | " + " | ".join(names) + " | sum |",
        "|---:|---|" + "---:|" * (len(names) + 1),
        *(_cpu_line(row, names) for row in table),
    ]
    return "\n".join([*speed, "", "CPU seconds per 1,000 tokens:", "", *cpu])


def _speed_line(row: Row) -> str:
    return (
        f"| {row.clients} | {row.layer} | {row.tokens_per_s:.0f} | {row.ratio:.2f} "
        f"| {row.ttft_ms[0]:.1f} / {row.ttft_ms[1]:.1f} "
        f"| {row.inter_message_ms[0]:.1f} / {row.inter_message_ms[1]:.1f} "
        f"| {row.messages_per_token:.2f} |"
    )


def _cpu_line(row: Row, names: Sequence[str]) -> str:
    cells = [f"{row.cpu_s_per_1000_tokens.get(name, 0.0):.2f}" for name in names]
    total = sum(row.cpu_s_per_1000_tokens.values())
    return f"| {row.clients} | {row.layer} | " + " | ".join(cells) + f" | {total:.2f} |"


def targets(table: Iterable[Row]) -> dict[str, Any]:
    """The ratios the project holds itself to."""
    by_key = {(row.layer, row.clients): row for row in table}
    added_ms = by_key["gateway", 1].ttft_ms[0] - by_key["raw", 1].ttft_ms[0]
    return {
        "bls / raw at 32 (target 0.85)": round(by_key["bls", 32].ratio, 3),
        "gateway / raw at 32 (target 0.75)": round(by_key["gateway", 32].ratio, 3),
        "TTFT added by the chain at 1, ms (target 10)": round(added_ms, 2),
    }

"""TTFT, fairness and goodput over load, as SVG. Needs the extra `bench`."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from io import StringIO
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.simulation.report import Report
from serving.contract.grant import CLASSES

COLOURS = {"fifo": "#8a8a8a", "priority": "#d98200", "preempt": "#0072b2"}
LABELS = {"fifo": "FIFO", "priority": "priority", "preempt": "priority + preemption"}
P50, P99 = 0, 2
Points = Sequence[tuple[float, Sequence[Report]]]


def draw(points: Points, of_one_class: Points, folder: Path) -> list[Path]:
    """`points`: a load and the report of each order at it; also of work that is all of one class.

    The same points give the same bytes.
    """
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "conch", "font.size": 9})
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "ttft": _ttft(points),
        "fairness": _fairness(points, of_one_class),
        "goodput": _goodput(points),
    }
    return [_saved(figure, folder / f"{name}.svg") for name, figure in figures.items()]


def _saved(figure: Figure, path: Path) -> Path:
    """With coordinates as fine as anybody sees, in half the bytes."""
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    path.write_text(re.sub(r" *\n *", "\n", re.sub(r"(\d\.\d\d)\d{3,}", r"\1", text.getvalue())))
    return path


def _ttft(points: Points) -> Figure:
    figure = Figure(figsize=(8.0, 5.6), layout="constrained")
    for axes, name in zip(figure.subplots(2, 2, sharex=True).flat, CLASSES, strict=True):
        for order in COLOURS:
            _line(axes, points, order, partial(_ttft_s, name=name, percentile=P50), "--")
            _line(axes, points, order, partial(_ttft_s, name=name, percentile=P99))
        axes.set(title=f"{name}: TTFT in s, p99 (dashed: p50)", yscale="log")
        axes.yaxis.set_major_formatter("{x:g}")
    _dress(figure)
    return figure


def _ttft_s(report: Report, *, name: str, percentile: int) -> float:
    mine = next((each for each in report.classes if each.name == name), None)
    return float("nan") if mine is None or mine.ttft_s is None else mine.ttft_s[percentile]


def _fairness(points: Points, of_one_class: Points) -> Figure:
    figure = Figure(figsize=(8.0, 3.4), layout="constrained")
    one, mixed = figure.subplots(1, 2, sharey=True)
    for order in COLOURS:
        _line(one, of_one_class, order, lambda each: each.jain)
        _line(mixed, points, order, lambda each: each.jain)
    one.set(title="Jain's index over tenants, one class", ylim=(None, 1.005))
    mixed.set(title="Jain's index over tenants, mean of the four classes")
    _dress(figure)
    return figure


def _goodput(points: Points) -> Figure:
    figure = Figure(figsize=(8.0, 3.4), layout="constrained")
    whole, interactive = figure.subplots(1, 2, sharey=True)
    for order in COLOURS:
        _line(whole, points, order, lambda each: each.goodput)
        _line(interactive, points, order, _goodput_of_interactive)
    whole.set(title="goodput, all classes", ylim=(0, 1.03))
    interactive.set(title="goodput, interactive")
    _dress(figure)
    return figure


def _goodput_of_interactive(report: Report) -> float:
    return next((each.goodput for each in report.classes if each.name == CLASSES[0]), float("nan"))


def _line(
    axes: Axes, points: Points, order: str, value: Callable[[Report], float], style: str = "-"
) -> None:
    loads = [load for load, _ in points]
    values = [value(each) for _, reports in points for each in reports if each.order == order]
    label = LABELS[order] if style == "-" else None
    axes.plot(loads, values, style, color=COLOURS[order], label=label, marker=".", linewidth=1.4)


def _dress(figure: Figure) -> None:
    figure.supxlabel("load (1 is what the engines can do)", fontsize=9)
    for axes in figure.axes:
        axes.minorticks_off()
        axes.grid(visible=True, alpha=0.3)
        axes.title.set_fontsize(9)
    figure.axes[0].legend(fontsize=8, frameon=False)

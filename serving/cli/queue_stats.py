"""A model's queue as a whole: its room, who waits and runs by class, and what was refused."""

from dataclasses import asdict

from serving.cli.shown import Item, field, print_json, show, show_fields
from serving.contract.control import QueueStats
from serving.contract.grant import CLASSES

BY_CLASS = {name: field(name) for name in ("class", "waiting", "running", "paused")}
REFUSALS = {name: field(name) for name in ("refused", "requests")}
_OF_TABLES = ("waiting", "running", "paused_classes", "refusals")


def show_queue(stats: QueueStats, *, as_json: bool) -> None:
    said = asdict(stats)
    if as_json:
        print_json(said)
        return
    show_fields({name: said[name] for name in said if name not in _OF_TABLES}, as_json=False)
    show((_of_class(stats, name) for name in CLASSES), BY_CLASS, as_json=False)
    if stats.refusals:
        rows = [{"refused": why, "requests": count} for why, count in stats.refusals.items()]
        show(rows, REFUSALS, as_json=False)


def _of_class(stats: QueueStats, name: str) -> Item:
    return {
        "class": name,
        "waiting": stats.waiting.get(name, 0),
        "running": stats.running.get(name, 0),
        "paused": name in stats.paused_classes,
    }

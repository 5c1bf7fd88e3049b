"""What a guardrail policy made of texts, as people and machines read it."""

import sys
from collections.abc import Iterable
from dataclasses import asdict

import orjson
from rich.table import Table
from rich.text import Text

from serving.cli.policy_trial import Result
from serving.cli.terminal import output
from serving.contract.guardrails import Action, Verdict

LONGEST, SHORTEST = 48, 16  # characters shown of a text
BESIDE = 56  # characters of the other columns
STYLES = {Action.BLOCK: "red", Action.ASK: "red", Action.REDACT: "yellow", Action.FLAG: "yellow"}


def print_lines(results: Iterable[Result]) -> None:
    """A line of JSON a text, as they come."""
    for number, result in enumerate(results, 1):
        told = {
            "number": number,
            "stage": result.tried.stage,
            "action": result.action,
            "verdicts": [asdict(verdict) for verdict in result.verdicts],
            "text": result.text,
        }
        sys.stdout.write(orjson.dumps(told).decode() + "\n")


def print_table(results: list[Result]) -> None:
    """A row a verdict, and how many texts came to what."""
    names = ("stage", "action", "check", "what", "score", "where")
    table = Table("#", "text", *names, box=None, pad_edge=False)
    for number, result in enumerate(results, 1):
        head = (str(number), _short(result.tried.text), result.tried.stage.value)
        for verdict in result.verdicts or (None,):
            table.add_row(*map(Text, head), *_cells(verdict))
            head = ("", "", "")
    output.print(table)
    counts = {action: sum(r.action is action for r in results) for action in Action}
    said = ", ".join(f"{count} {action}" for action, count in counts.items() if count)
    output.print(f"{len(results)} texts: {said or 'none'}")


def _cells(verdict: Verdict | None) -> tuple[Text, ...]:
    if verdict is None:
        return (Text(Action.ALLOW), *(Text("-") for _ in range(4)))
    where = "-" if verdict.begin is None else f"{verdict.begin}-{verdict.end}"
    return (
        Text(verdict.action, style=STYLES.get(verdict.action, "")),
        *map(Text, (verdict.check, verdict.what or "-", f"{verdict.score:.2f}", where)),
    )


def _short(text: str) -> str:
    """As much of it as the terminal has room for, on one line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    room = min(LONGEST, max(SHORTEST, output.width - BESIDE))
    return line if len(line) <= room else f"{line[: room - 1]}…"

"""Recorded work: a CSV file in the format of the public Azure LLM inference traces.

https://github.com/Azure/AzurePublicDataset: TIMESTAMP,ContextTokens,GeneratedTokens.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from loadtests.settings import RefusedLoad
from loadtests.simulation.request import Request, Session
from loadtests.simulation.workload import DEMAND, MIX, tenant_of
from serving.bls.scheduling.classes import RANKS

HEADER = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"]


@dataclass(frozen=True, slots=True)
class Row:
    """`at_s` is since the first row."""

    at_s: float
    prompt_tokens: int
    answer_tokens: int


def read(path: Path) -> list[Row]:
    """Raises RefusedLoad with the line's number for the first line that is not as it should be."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = list(_rows(path, csv.reader(file)))
    if not rows:
        raise RefusedLoad(f"{path} has no requests")
    return rows


def _rows(path: Path, lines: Iterator[list[str]]) -> Iterator[Row]:
    header = [name.strip().removeprefix("\ufeff") for name in next(lines, [])]
    if header != HEADER:
        raise RefusedLoad(f"{path}, line 1: {','.join(header)!r} is not {','.join(HEADER)}")
    first: datetime | None = None
    last_s = 0.0
    for number, line in enumerate(lines, start=2):
        try:
            at, prompt_tokens, answer_tokens = _values(line)
            first = first or at
            last_s = _later(last_s, (at - first).total_seconds())
        except (ValueError, TypeError) as error:
            raise RefusedLoad(f"{path}, line {number}: {error}") from None
        yield Row(last_s, prompt_tokens, answer_tokens)


def _later(last_s: float, at_s: float) -> float:
    if at_s < last_s:
        raise ValueError("it is earlier than the line above")
    return at_s


def _values(line: list[str]) -> tuple[datetime, int, int]:
    if len(line) != len(HEADER):
        raise ValueError(f"{len(line)} columns, not {len(HEADER)}")
    # An answer without tokens has at least its end.
    return datetime.fromisoformat(line[0]), _tokens(line[1], 1), max(1, _tokens(line[2], 0))


def _tokens(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise ValueError(f"{text!r} is no number of tokens from {least} on")
    return int(text)


def sessions(
    rows: list[Row],
    *,
    mix: Mapping[str, float] = MIX,
    demand: tuple[float, ...] = DEMAND,
    seed: int = 0,
) -> tuple[Session, ...]:
    """Every row a call by itself, of a class and a tenant drawn by their shares."""
    rng = np.random.default_rng(seed)
    names = rng.choice(
        list(mix), size=len(rows), p=np.array(list(mix.values())) / sum(mix.values())
    )
    return tuple(
        Session(row.at_s, (_request(row, str(name), f"{name}-{number}", tenant_of(demand, rng)),))
        for number, (row, name) in enumerate(zip(rows, names, strict=True))
    )


def _request(row: Row, name: str, request_id: str, tenant: str) -> Request:
    return Request(
        id=request_id,
        tenant=tenant,
        rank=RANKS[name],
        prompt_tokens=row.prompt_tokens,
        answer_tokens=row.answer_tokens,
        max_tokens=row.answer_tokens,
    )


def class_mix(text: str) -> dict[str, float]:
    """`interactive=0.3,agent=0.7`. Raises RefusedLoad for an unknown class or a share below 0."""
    mix: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.strip().partition("=")
        if name not in RANKS:
            raise RefusedLoad(f"--class-mix: '{name}' is none of {', '.join(RANKS)}")
        try:
            mix[name] = float(share)
        except ValueError:
            raise RefusedLoad(f"--class-mix: '{share}' is no share of class '{name}'") from None
        if not 0 <= mix[name] < float("inf"):
            raise RefusedLoad(
                f"--class-mix: the share of '{name}' is {share}; it must be 0 or more"
            )
    if not sum(mix.values()):
        raise RefusedLoad("--class-mix: some class needs a share above 0")
    return mix

"""Measure the guardrails on texts of their own: `python build/guardrails/evaluate.py`.

Found is what the default policy has a verdict of an attack about, be it a flag or a block.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import orjson

from guardrails.corpus import Text, corpus
from guardrails.embedding import embedded
from guardrails.evaluation import evaluation
from guardrails.templates import Templates
from serving.contract.guardrails import Action, CheckKind, Verdict
from serving.guardrails.default_policy import DEFAULT
from serving.guardrails.examine import Guard
from serving.guardrails.meaning import classifier, judged
from serving.guardrails.meaning_windows import Passage, windows

OUT = Path("var/guardrails/evaluation.json")
ATTACKS = (CheckKind.INJECTION.value, CheckKind.CLASSIFIER.value)


@dataclass(frozen=True, slots=True)
class Found:
    """What the checks came to about one text."""

    text: Text
    rules: bool
    meaning: bool
    is_blocked: bool

    @property
    def both(self) -> bool:
        return self.rules or self.meaning


@dataclass(frozen=True, slots=True)
class Row:
    """Shares of the texts of a group; `is_unseen`: of no family that was learned from."""

    group: str
    is_attack: bool
    is_unseen: bool
    texts: int
    rules: float
    meaning: float
    both: float
    blocked: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--validation", action="store_true", help="texts that were looked at")
    options = parser.parse_args()
    found = examined(corpus("eval") if options.validation else evaluation())
    rows = [*_groups(found), _row("all attacks", _of(found, is_attack=True))]
    rows.append(_row("all harmless texts", _of(found, is_attack=False)))
    _print(rows)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    written = orjson.dumps([asdict(row) for row in rows], option=orjson.OPT_INDENT_2)
    options.out.write_bytes(written)
    print(f"\nwritten to {options.out}")


def examined(texts: Sequence[Text]) -> list[Found]:
    guard = Guard.of(DEFAULT)
    ruled = [_attacks(guard.examine(one.text, one.stage).verdicts) for one in texts]
    meant = _by_meaning(texts)
    return [
        Found(text, bool(rules), bool(meaning), _is_blocked([*rules, *meaning]))
        for text, rules, meaning in zip(texts, ruled, meant, strict=True)
    ]


def _by_meaning(texts: Sequence[Text]) -> list[list[Verdict]]:
    cut = [windows([Passage(one.text, one.stage)]) for one in texts]
    flat = [window for found in cut for window in found]
    vectors = embedded([window.text for window in flat])
    scores = classifier().scores(vectors, flat)
    parts = np.split(scores, np.cumsum([len(found) for found in cut])[:-1])
    checks = [check for check in DEFAULT.checks if check.kind is CheckKind.CLASSIFIER]
    return [
        [verdict for check in checks for verdict in judged(check, DEFAULT.id, found, part)]
        for found, part in zip(cut, parts, strict=True)
    ]


def _attacks(verdicts: Sequence[Verdict]) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.check in ATTACKS]


def _is_blocked(verdicts: Sequence[Verdict]) -> bool:
    return any(verdict.action in (Action.BLOCK, Action.REDACT) for verdict in verdicts)


def _of(found: Sequence[Found], *, is_attack: bool) -> list[Found]:
    return [one for one in found if one.text.is_attack == is_attack]


def _groups(found: Sequence[Found]) -> list[Row]:
    names = sorted({(not one.text.is_attack, one.text.group) for one in found})
    return [_row(name, [one for one in found if one.text.group == name]) for _, name in names]


def _row(name: str, found: Sequence[Found]) -> Row:
    def share(flags: Sequence[bool]) -> float:
        return round(sum(flags) / len(flags), 4)

    is_attack = found[0].text.is_attack
    return Row(
        name,
        is_attack,
        is_attack and name not in (*Templates.load("train").attacks, "all attacks"),
        len(found),
        share([one.rules for one in found]),
        share([one.meaning for one in found]),
        share([one.both for one in found]),
        share([one.is_blocked for one in found]),
    )


def _print(rows: Sequence[Row]) -> None:
    print(f"{'found, % of':24} {'texts':>6} {'rules':>7} {'meaning':>8} {'both':>7} {'blocked':>8}")
    for row in rows:
        mark = " (held out)" if row.is_unseen else ""
        shares = (100 * one for one in (row.rules, row.meaning, row.both, row.blocked))
        rules, meaning, both, blocked = (f"{one:.1f}" for one in shares)
        name = row.group + mark
        print(f"{name:32} {row.texts:6} {rules:>7} {meaning:>8} {both:>7} {blocked:>8}")


if __name__ == "__main__":
    main()

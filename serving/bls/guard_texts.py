"""What the Triton model `guard` says of texts: verdicts, and the texts as they may be shown."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from serving.bls import meaning
from serving.bls.guards import Compiled, Guards, compiled
from serving.contract.errors import InvalidRequest, Unavailable
from serving.contract.guardrails import Action, OnFailure, Stage, Verdict
from serving.contract.task_errors import bare_errors
from serving.guardrails.default_policy import DEFAULT
from serving.guardrails.meaning_windows import Passage
from serving.guardrails.wire import Sealed, parsed, sealed

Array = npt.NDArray[Any]
MAX_TEXTS = 256


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `shape` is that of its texts."""

    shape: tuple[int, ...]
    texts: tuple[str, ...]
    stage: Stage
    policy: Sealed


def decode(arrays: Mapping[str, Array]) -> Asked:
    """Raises InvalidRequest that names the tensor."""
    given = arrays["text"]
    if not 1 <= given.size <= MAX_TEXTS:
        raise InvalidRequest(
            f"'text' has {given.size} texts, it must have 1 to {MAX_TEXTS}", param="text"
        )
    texts = tuple(_text("text", data) for data in given.flat)
    return Asked(given.shape, texts, _stage(arrays), _policy(arrays))


def encode(asked: Asked, read: "Sequence[Read]") -> dict[str, Array]:
    verdicts = [orjson.dumps([asdict(verdict) for verdict in each.verdicts]) for each in read]
    redacted = [each.text.encode() for each in read]
    return {
        "verdicts": np.array(verdicts, np.object_).reshape(asked.shape),
        "redacted": np.array(redacted, np.object_).reshape(asked.shape),
    }


@dataclass(frozen=True, slots=True)
class Read:
    """One text: what was found in it, and what is left of it."""

    text: str
    verdicts: tuple[Verdict, ...]


async def read(guards: Guards, asked: Asked) -> list[Read]:
    """Each text by itself. Raises Unavailable where a check fails and its policy is closed."""
    policy = compiled(asked.policy.text, asked.policy.reference)
    by_rules = [_by_rules(guards, policy, asked, text) for text in asked.texts]
    by_meaning = await _by_meaning(guards, policy, asked.stage, by_rules)
    made = [_both(*pair) for pair in zip(by_rules, by_meaning, strict=True)]
    for verdict in (verdict for each in made for verdict in each.verdicts):
        guards.tell(verdict)
    return made


def _by_rules(guards: Guards, policy: Compiled, asked: Asked, text: str) -> Read:
    try:
        examined = policy.guard.examine(text, asked.stage)
    except Exception as error:
        _failed(guards, policy, error)
        return Read(text, ())
    return Read(examined.text, _told(examined.verdicts))


async def _by_meaning(
    guards: Guards, policy: Compiled, stage: Stage, given: Sequence[Read]
) -> list[tuple[Verdict, ...]]:
    """Each text for itself: a long one leaves no less room for the others."""
    try:
        with bare_errors():
            async with asyncio.timeout(policy.policy.budget_ms / 1e3), asyncio.TaskGroup() as tasks:
                read = [
                    tasks.create_task(
                        meaning.read(policy, (Passage(r.text, stage),), guards.embeddings)
                    )
                    for r in given
                ]
    except Exception as error:
        _failed(guards, policy, error)
        return [()] * len(given)
    return [_told(task.result()) for task in read]


def _failed(guards: Guards, policy: Compiled, error: Exception) -> None:
    guards.failed(error)
    if policy.policy.on_failure is OnFailure.CLOSED:
        raise Unavailable("the guardrails cannot read these texts now; try again soon")


def _both(by_rules: Read, by_meaning: tuple[Verdict, ...]) -> Read:
    """Where a meaning is to be taken out, nothing of the text is left."""
    gone = next((v.check for v in by_meaning if v.action is Action.REDACT), None)
    text = by_rules.text if gone is None else f"[{gone}]"
    return Read(text, by_rules.verdicts + by_meaning)


def _told(verdicts: Any) -> tuple[Verdict, ...]:
    return tuple(replace(v, place=None) for v in verdicts if v.action is not Action.ALLOW)


def _stage(arrays: Mapping[str, Array]) -> Stage:
    if "stage" not in arrays:
        return Stage.INPUT
    name = _text("stage", arrays["stage"].flat[0])
    if name not in tuple(Stage):
        raise InvalidRequest(
            f"'stage' is '{name[:64]}', it must be one of {', '.join(Stage)}", param="stage"
        )
    return Stage(name)


def _policy(arrays: Mapping[str, Array]) -> Sealed:
    text = _text("policy", arrays["policy"].flat[0]) if "policy" in arrays else ""
    return sealed(parsed(text) if text else DEFAULT)


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"'{name}' is not UTF-8 (byte {error.start})", param=name) from None

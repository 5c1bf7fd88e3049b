"""From measured times to an engine model: least squares."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from loadtests.simulation.engine_model import EngineModel
from loadtests.simulation.measure import Measured, PromptTime, StepTime

LEAST_STEP_S = 1e-6


def fit(measured: Measured, *, kv_tokens: int, step_tokens: int) -> EngineModel:
    """A stop waits for the end of a step: half of one on the average, which the model adds anew."""
    step_s, sequence_s, kv_token_s = _steps(measured.steps)
    one_s = step_s + sequence_s
    model = EngineModel(
        step_s=step_s,
        sequence_s=sequence_s,
        kv_token_s=kv_token_s,
        prompt_token_s=0.0,
        start_s=max(0.0, measured.start_s),
        stop_s=max(0.0, measured.stop_s - one_s / 2),
        kv_tokens=kv_tokens,
        step_tokens=step_tokens,
    )
    return _with_prompts(model, measured.prompts)


def _steps(times: Sequence[StepTime]) -> tuple[float, float, float]:
    rows = [(1.0, each.sequences, each.kv_tokens) for each in times]
    step_s, sequence_s, kv_token_s = _least_squares(rows, [each.seconds for each in times])
    return max(step_s, LEAST_STEP_S), sequence_s, kv_token_s


def _with_prompts(model: EngineModel, times: Sequence[PromptTime]) -> EngineModel:
    """What the known terms leave unexplained, by the tokens that were read and their pairs."""
    rows = [(each.prompt_tokens, each.prompt_tokens**2 / 2) for each in times]
    seconds = [each.seconds for each in times]
    known = [_steps_s(model, each.prompt_tokens) for each in times]
    token_s, pair_s = _least_squares(rows, seconds, known)
    return replace(model, prompt_token_s=token_s, prompt_pair_s=pair_s)


def _least_squares(
    rows: Sequence[Sequence[float]], seconds: Sequence[float], known: Sequence[float] = ()
) -> list[float]:
    """Factors that make `seconds` of `rows`, on top of what is `known`.

    Relative errors are made small, so that what is short counts as much as what is long. What
    comes out below 0 is left out, and the others are found anew.
    """
    weights = 1 / np.array(seconds)
    table = np.array(rows, dtype=float) * weights[:, None]
    wanted = (np.array(seconds) - (np.array(known) if known else 0.0)) * weights
    kept = list(range(table.shape[1]))
    while True:
        found = np.linalg.lstsq(table[:, kept], wanted, rcond=None)[0]
        if found.min() >= 0 or len(kept) == 1:
            break
        kept.remove(kept[int(found.argmin())])
    factors = [0.0] * table.shape[1]
    for at, value in zip(kept, found, strict=True):
        factors[at] = max(0.0, float(value))
    return factors


def _steps_s(model: EngineModel, prompt_tokens: int) -> float:
    """Of the steps in which a prompt is read, without the reading."""
    starts = range(0, prompt_tokens, model.step_tokens)
    return sum(model.step_time_s(0, start, 0) for start in starts)


def residuals(model: EngineModel, measured: Measured) -> list[str]:
    """What was measured beside what the model says, a line each."""
    lines = []
    for step in measured.steps:
        says_s = model.step_time_s(step.sequences, step.kv_tokens, 0)
        what = f"step of {step.sequences:2} sequences, {step.kv_tokens:6.0f} tokens in the cache"
        lines.append(f"{what}: {step.seconds * 1e3:7.2f} ms, the model says {says_s * 1e3:7.2f}")
    for prompt in measured.prompts:
        says_s = _steps_s(model, prompt.prompt_tokens) + model.prompt_s(prompt.prompt_tokens)
        what = f"prompt of {prompt.prompt_tokens:4} tokens"
        lines.append(f"{what}: {prompt.seconds * 1e3:7.2f} ms, the model says {says_s * 1e3:7.2f}")
    return lines

"""A simulated engine as plain as can be: one step after another, and no prefix cache."""

from dataclasses import dataclass

from loadtests.simulation.engine_model import EngineModel


@dataclass
class Stepped:
    """One sequence. It comes at `adds_s` and is told to stop at `stops_s`."""

    key: str
    adds_s: float
    prompt_tokens: int
    to_make: int
    stops_s: float | None = None
    read: int = 0
    made: int = 0
    first_s: float | None = None
    left_s: float | None = None

    @property
    def kv_tokens(self) -> int:
        return self.read + max(0, self.made - 1)


def run(model: EngineModel, sequences: list[Stepped]) -> int:
    """Fills in when each began and left, and how much it made; how many steps that took."""
    now_s, steps = 0.0, 0
    running: list[Stepped] = []
    waiting = sorted(sequences, key=lambda each: each.adds_s)
    while waiting or running:
        if not running:
            now_s = max(now_s, waiting[0].adds_s + model.start_s)
        while waiting and waiting[0].adds_s + model.start_s <= now_s:
            running.append(waiting.pop(0))
        _stop(model, running, now_s)
        running = [each for each in running if each.left_s is None]
        if running:
            now_s, steps = now_s + _step(model, running), steps + 1
            _note(running, now_s)
        running = [each for each in running if each.left_s is None]
    return steps


def _stop(model: EngineModel, running: list[Stepped], now_s: float) -> None:
    for each in running:
        if each.stops_s is not None and each.stops_s + model.stop_s <= now_s:
            each.left_s = now_s


def _step(model: EngineModel, running: list[Stepped]) -> float:
    decoding = [each for each in running if each.made]
    reading = [each for each in running if not each.made]
    kv_tokens = sum(each.kv_tokens for each in running)
    left = budget = max(1, model.step_tokens - len(decoding))
    pairs = 0.0
    for each in reading:
        read = min(left, each.prompt_tokens - each.read)
        pairs += read * (each.read + read / 2)
        each.read += read
        left -= read
    for each in decoding:
        each.made += 1
    return model.step_time_s(len(decoding), kv_tokens, budget - left, pairs)


def _note(running: list[Stepped], now_s: float) -> None:
    for each in running:
        if not each.made and each.read == each.prompt_tokens:
            each.made, each.first_s = 1, now_s
        if each.made == each.to_make:
            each.left_s = now_s

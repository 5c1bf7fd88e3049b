"""The simulated engine: many steps at once are the same steps."""

import numpy as np
import pytest

from loadtests.simulation.engine import NEVER, Engine, Sequence
from loadtests.simulation.engine_model import EngineModel
from tests.unit.loadtests import step_by_step
from tests.unit.loadtests.step_by_step import Stepped

MODEL = EngineModel(
    step_s=0.01,
    sequence_s=0.001,
    kv_token_s=1e-6,
    prompt_token_s=1e-4,
    prompt_pair_s=2e-7,
    start_s=0.003,
    stop_s=0.004,
    step_tokens=64,
)


def run_engine(engine: Engine, script: list[Stepped]) -> dict[str, tuple[float, Sequence]]:
    """When each left, by key, and its sequence."""
    sequences = {each.key: Sequence(each.key, each.prompt_tokens, each.to_make) for each in script}
    events = [(each.adds_s, 0, engine.add, sequences[each.key]) for each in script]
    events += [
        (each.stops_s, 1, engine.stop, sequences[each.key])
        for each in script
        if each.stops_s is not None
    ]
    events.sort(key=lambda each: each[:2])
    left: dict[str, tuple[float, Sequence]] = {}
    while events or engine.next_s < NEVER:
        now_s = min(engine.next_s, events[0][0] if events else NEVER)
        for sequence in engine.advance(now_s):
            left[sequence.key] = now_s, sequence
        while events and events[0][0] <= now_s:
            _, _, act, sequence = events.pop(0)
            if sequence.key not in left:
                act(sequence, now_s)
    return left


def random_script(seed: int) -> list[Stepped]:
    rng = np.random.default_rng(seed)
    script = []
    for number in range(int(rng.integers(1, 12))):
        adds_s = float(rng.uniform(0, 1.5))
        stops_s = adds_s + float(rng.uniform(0.02, 1.0)) if rng.random() < 0.3 else None
        lengths = int(rng.integers(1, 300)), int(rng.integers(1, 60))
        script.append(Stepped(str(number), adds_s, *lengths, stops_s=stops_s))
    return script


@pytest.mark.parametrize("seed", range(60))
def test_steps_at_once_are_the_steps_one_by_one(seed: int) -> None:
    script = random_script(seed)
    engine = Engine(MODEL)
    left = run_engine(engine, script)
    steps = step_by_step.run(MODEL, script)
    assert engine.step == steps
    for each in script:
        left_s, sequence = left[each.key]
        assert left_s == pytest.approx(each.left_s)
        assert sequence.first_s == pytest.approx(each.first_s)
        assert sequence.made(engine.step) == each.made


def test_what_is_stopped_comes_back_to_its_prefix() -> None:
    engine = Engine(MODEL)
    left = run_engine(engine, [Stepped("a", 0.0, 100, 50, stops_s=0.3)])
    made = left["a"][1].made(engine.step)
    again = Sequence("a", 100 + made, 50 - made)
    engine.add(again, 1.0)
    while engine.next_s < NEVER:
        engine.advance(engine.next_s)
    assert made > 1
    assert again.to_read == 100 + made - (99 + made) // 32 * 32


def test_prefix_is_lost_when_others_need_the_room() -> None:
    engine = Engine(EngineModel(0.01, 0.001, 0, 1e-4, kv_tokens=256))
    run_engine(engine, [Stepped("a", 0.0, 100, 2), Stepped("b", 1.0, 250, 2)])
    again = Sequence("a", 110, 2)
    engine.add(again, 9.0)
    while engine.next_s < NEVER:
        engine.advance(engine.next_s)
    assert again.to_read == 110


def test_cache_holds_no_more_than_there_is_room_for() -> None:
    engine = Engine(EngineModel(0.01, 0.001, 0, 1e-4, kv_tokens=1000))
    run_engine(engine, [Stepped(str(number), number * 0.1, 90, 9) for number in range(50)])
    assert engine.kv_tokens == 0
    assert 900 < engine.cache.tokens <= 1000

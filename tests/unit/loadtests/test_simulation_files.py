"""Files of the simulation: traces and engine models, and what is said of bad ones."""

from pathlib import Path

import pytest

from loadtests.settings import RefusedLoad
from loadtests.simulation import engine_model, trace
from loadtests.simulation.fit import fit
from loadtests.simulation.measure import Measured, PromptTime, StepTime
from serving.bls.scheduling.classes import RANKS

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
FIRST = "2023-11-16 18:15:46.6805900,374,44\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "file"
    path.write_text(text)
    return path


def test_trace_is_read_from_its_first_request_on(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + FIRST + "2023-11-16 18:15:50.9951690,396,0\n")
    rows = trace.read(path)
    assert rows[0] == trace.Row(0.0, 374, 44)
    assert rows[1].at_s == pytest.approx(4.314579)
    assert (rows[1].prompt_tokens, rows[1].answer_tokens) == (396, 1)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("2023-11-16 18:15:47,374\n", "2 columns, not 3"),
        ("yesterday,374,44\n", "yesterday"),
        ("2023-11-16 18:15:47,0,44\n", "'0' is no number of tokens"),
        ("2023-11-16 18:15:47,374,-1\n", "'-1' is no number of tokens"),
        ("2023-11-16 18:15:47,many,4\n", "'many' is no number of tokens"),
        ("2023-11-16 18:15:46,374,44\n", "earlier than the line above"),
        ("2023-11-16 18:15:47+00:00,374,44\n", "offset"),
        ("\n", "0 columns, not 3"),
    ],
)
def test_bad_line_of_a_trace_is_refused_by_its_number(tmp_path: Path, line: str, why: str) -> None:
    path = written(tmp_path, HEADER + FIRST + line)
    with pytest.raises(RefusedLoad, match=f"line 3: .*{why}"):
        trace.read(path)


@pytest.mark.parametrize("text", ["", "time,tokens\n", FIRST])
def test_file_without_the_header_is_no_trace(tmp_path: Path, text: str) -> None:
    with pytest.raises(RefusedLoad, match="line 1: "):
        trace.read(written(tmp_path, text))


def test_requests_of_a_trace_get_classes_by_their_shares(tmp_path: Path) -> None:
    rows = trace.read(written(tmp_path, HEADER + FIRST * 400))
    sessions = trace.sessions(rows, mix=trace.class_mix("interactive=1,batch=3"))
    ranks = [session.calls[0].rank for session in sessions]
    assert sessions == trace.sessions(rows, mix={"interactive": 0.25, "batch": 0.75})
    assert set(ranks) == {RANKS["interactive"], RANKS["batch"]}
    assert 70 < ranks.count(RANKS["interactive"]) < 130


@pytest.mark.parametrize("text", ["chat=1", "batch", "batch=x", "batch=-1", "batch=nan", "batch=0"])
def test_bad_class_mix_is_refused(text: str) -> None:
    with pytest.raises(RefusedLoad, match="--class-mix: "):
        trace.class_mix(text)


def test_engine_model_is_read_as_it_was_written(tmp_path: Path) -> None:
    model = engine_model.load()
    path = written(tmp_path, engine_model.to_toml(model, "a copy"))
    assert engine_model.load(path) == model


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("step_s = 0", "step_s = 0; without it nothing would run"),
        ("step_s = -1", "step_s = -1; it must be a number, not below 0"),
        ("kv_tokens = 1.5", "kv_tokens = 1.5"),
        ("speed = 1", "has 'speed'"),
    ],
)
def test_bad_engine_model_is_refused(tmp_path: Path, change: str, why: str) -> None:
    name = change.split(" ")[0]
    text = engine_model.to_toml(engine_model.load(), "bad")
    kept = [line for line in text.splitlines() if not line.startswith(name)]
    with pytest.raises(RefusedLoad, match=why):
        engine_model.load(written(tmp_path, "\n".join([*kept, change])))


def test_fit_finds_the_costs_that_made_the_times() -> None:
    model = engine_model.EngineModel(0.004, 0.0005, 4e-7, 5e-5, 3e-8, step_tokens=512)
    points = [(n, n * context) for n in (1, 2, 4, 8, 16) for context in (56, 536)]
    steps = tuple(StepTime(n, kv, model.step_time_s(n, kv, 0)) for n, kv in points)
    prompts = tuple(PromptTime(n, 0.004 + 5e-5 * n + 3e-8 * n * n / 2) for n in (64, 256, 512))
    found = fit(Measured(steps, prompts, 0.003, 0.005), kv_tokens=4096, step_tokens=512)
    assert found.step_s == pytest.approx(0.004)
    assert found.sequence_s == pytest.approx(0.0005)
    assert found.kv_token_s == pytest.approx(4e-7)
    assert found.prompt_token_s == pytest.approx(5e-5)
    assert found.prompt_pair_s == pytest.approx(3e-8)
    assert (found.start_s, found.kv_tokens) == (0.003, 4096)
    assert found.stop_s == pytest.approx(0.005 - 0.0045 / 2)

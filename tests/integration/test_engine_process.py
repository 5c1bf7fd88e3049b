"""The engine in a process of its own: real children, from their first word to their end."""

import os
import queue
import re
import signal
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from serving.contract.calls import Guide
from serving.contract.errors import EngineFailed, InvalidRequest
from serving.engines import grammar
from serving.engines.grammar import GrammarChecker
from serving.engines.messages import Add, Cancel, EngineSettings
from serving.engines.process import EngineLoadError, EngineProcess, Listener
from serving.engines.requests import EngineRequest

WAIT_S = 20.0
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def demo_model() -> Path:
    return ROOT / "model_repository" / "demo_engine" / "1" / "model"


class Watched:
    """A child and what it said."""

    def __init__(self, model: Path):
        self.said: queue.Queue = queue.Queue()
        self.ended = threading.Event()
        self.process = EngineProcess(
            EngineSettings(model, 2048, 4, 256), Listener(self.said.put, self.ended.set)
        )

    def until_last(self, number: int):
        """Updates up to the last of sequence (number, 0, 0), and the loads that were told."""
        updates, loads = [], []
        while not (updates and updates[-1].is_last):
            progress = self.said.get(timeout=WAIT_S)
            loads.append((progress.running, progress.waiting))
            updates += [u for u in progress.updates if u.key == (number, 0, 0)]
        return updates, loads


@pytest.fixture(scope="module")
def child(demo_model):
    watched = Watched(demo_model)
    watched.capacity = watched.process.start()
    yield watched
    watched.process.close()


def request(tokens: int, **fields) -> EngineRequest:
    return EngineRequest(np.arange(100, 110, dtype=np.int64), tokens, **fields)


def test_a_child_says_what_its_model_holds(child):
    assert child.capacity.context_tokens >= 512
    assert child.capacity.vocab_size > 256
    assert child.capacity.kv_tokens == 2048


def test_tokens_of_a_streamed_request_come_as_they_are_made(child):
    child.process.send(Add(1, (request(20, is_streamed=True),)))
    updates, _ = child.until_last(1)
    assert sum(len(update.tokens) for update in updates) == 20
    assert updates[0].is_first
    assert len(updates) > 1


def test_the_load_is_told_also_while_nothing_is_streamed(child):
    child.process.send(Add(2, (request(300),)))
    updates, loads = child.until_last(2)
    assert [len(update.tokens) for update in updates] == [300]
    assert (1, 0) in loads
    assert loads[-1] == (0, 0)


def test_a_cancelled_request_ends(child):
    child.process.send(Add(3, (request(1500, is_streamed=True),)))
    child.said.get(timeout=WAIT_S)
    child.process.send(Cancel(3))
    updates, _ = child.until_last(3)
    assert sum(len(update.tokens) for update in updates) < 1500


def test_a_gguf_file_is_served_without_adapters():
    watched = Watched(grammar.PROBE)
    try:
        assert "conch build" in watched.process.start().why_no_lora
    finally:
        watched.process.close()


def test_a_model_that_cannot_be_loaded_is_named_with_the_reason(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF" + bytes(100))
    watched = Watched(tmp_path / "model.gguf")
    with pytest.raises(EngineLoadError, match=r"model\.gguf"):
        watched.process.start()
    watched.process.close()


def test_a_model_that_is_not_there_is_named(tmp_path):
    watched = Watched(tmp_path / "none.gguf")
    with pytest.raises(EngineLoadError, match=r"none\.gguf"):
        watched.process.start()
    watched.process.close()


def test_a_killed_child_is_told_of_and_can_be_started_anew(demo_model):
    watched = Watched(demo_model)
    watched.process.start()
    try:
        os.kill(watched.process._child.pid, signal.SIGKILL)
        assert watched.ended.wait(WAIT_S)
        with pytest.raises(EngineFailed):
            watched.process.send(Add(1, (request(5),)))
        restart = threading.Thread(target=watched.process.start)
        restart.start()
        refused = sent = 0
        while restart.is_alive():
            try:
                watched.process.send(Cancel(1))
                sent += 1
            except EngineFailed:
                refused += 1
            restart.join(0.001)
        assert refused > 10
        watched.process.send(Add(2, (request(5),)))
        updates, _ = watched.until_last(2)
        assert len(updates[-1].tokens) == 5
    finally:
        watched.process.close()


@pytest.fixture(scope="module")
def checker():
    made = GrammarChecker()
    yield made
    made.close()


@pytest.mark.parametrize(
    "guide",
    [
        Guide("json"),
        Guide("json_schema", '{"type": "object", "properties": {"a": {"type": "integer"}}}'),
        Guide("regex", "[a-z]+"),
        Guide("ebnf_grammar", 'root ::= "a"'),
    ],
)
def test_a_guide_that_compiles_is_fine(checker, guide):
    checker.check(guide)


@pytest.mark.parametrize(
    "guide",
    [
        Guide("json_schema", '{"type": "objec'),
        Guide("json_schema", '{"$ref": "#/nowhere"}'),
        Guide("regex", "(((("),
        Guide("ebnf_grammar", "root ::= "),
        Guide("regex", "a" * (grammar.MAX_GUIDE_CHARS + 1)),
    ],
)
def test_a_guide_that_does_not_compile_is_refused_with_a_short_reason(checker, guide):
    with pytest.raises(InvalidRequest) as refused:
        checker.check(guide)
    assert refused.value.param == "guided_decoding_guide"
    assert not re.search(r"(/[\w.-]+){2}", refused.value.message)
    assert len(refused.value.message) < 400


def test_a_guide_that_takes_too_long_is_refused_and_the_next_is_not(checker, monkeypatch):
    monkeypatch.setattr(grammar, "COMPILE_TIMEOUT_S", 0.2)
    with pytest.raises(InvalidRequest, match="took over"):
        checker.check(Guide("regex", "(((a{1,500}){1,500}){1,500}){1,500}"))
    monkeypatch.undo()
    checker.check(Guide("regex", "after+"))


def test_a_compiler_that_died_is_replaced(checker):
    checker.check(Guide("regex", "x"))
    checker._child.kill()
    checker._child.wait()
    with suppress(InvalidRequest):  # the first after it may be told so
        checker.check(Guide("regex", "yy"))
    checker.check(Guide("regex", "zz"))

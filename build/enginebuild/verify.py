"""Golden prompts on the built model: the engine's own process and the BLS model's own text code.

No Triton is started for it: what Triton adds are the folders, which loading them checks.
"""

import json
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from enginebuild.errors import BuildError
from enginebuild.recipe import Golden, Recipe
from enginebuild.render import kv_tokens
from enginebuild.told import Told
from serving.bls.language import Language
from serving.contract.calls import Call, Sampling
from serving.contract.errors import ConchError
from serving.engines.messages import Add, EngineSettings, Progress, Update
from serving.engines.process import EngineLoadError, EngineProcess, Listener
from serving.engines.requests import EngineRequest
from serving.text.model_files import context_length

ANSWERS = "answers.json"
TIMEOUT_S = 120.0
_SHOWN = 200  # characters of a wrong answer


@dataclass(frozen=True, slots=True)
class Answered:
    """What the model said to the golden prompt of this number, counted from 1."""

    number: int
    answer: str
    is_met: bool


def verify(recipe: Recipe, settings: EngineSettings, folder: Path, told: Told) -> str:
    """Ask all of them and write the answers down. Raises BuildError with the first wrong one."""
    golden = recipe.golden
    told.expect(len(golden))
    with _asker(settings) as ask:
        answers = [_answered(ask, number, prompt, told) for number, prompt in _counted(golden)]
    (folder / ANSWERS).write_text(json.dumps([asdict(answer) for answer in answers], indent=2))
    for answer in answers:
        if not answer.is_met:
            wanted = golden[answer.number - 1]
            raise BuildError(
                f"golden prompt {answer.number}: the model answers {answer.answer[:_SHOWN]!r}, not "
                f"{wanted.expect or wanted.contains!r}"
            )
    return f"{len(answers)} golden prompts answered as expected" if answers else "loads"


def settings_of(recipe: Recipe, model: Path) -> EngineSettings:
    """The sizes it will be served with: what does not load with them is found out here."""
    lora = recipe.lora
    return EngineSettings(
        model,
        kv_tokens=kv_tokens(recipe, context_length(model)),
        max_num_seqs=recipe.max_batch,
        max_num_batched_tokens=512,
        lora_max_adapters=0 if lora is None else lora.max_adapters,
        lora_max_rank=0 if lora is None else lora.max_rank,
    )


def answers_in(folder: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((folder / ANSWERS).read_text())
    return found


def _counted(golden: tuple[Golden, ...]) -> Iterator[tuple[int, Golden]]:
    return iter(enumerate(golden, start=1))


def _answered(ask: "_Asker", number: int, golden: Golden, told: Told) -> Answered:
    try:
        answer = ask.answer(golden)
    except ConchError as error:
        raise BuildError(f"golden prompt {number}: {error.message}") from error
    told.advance(1)
    return Answered(number, answer, golden.is_met_by(answer))


class _Asker:
    """One prompt at a time, greedily; what arrives on the engine's thread waits in a queue."""

    def __init__(self, language: Language, engine: EngineProcess) -> None:
        self._language = language
        self._engine = engine
        self._heard: queue.SimpleQueue[Update | None] = queue.SimpleQueue()
        self._key = 0

    def on_progress(self, progress: Progress) -> None:
        for update in progress.updates:
            self._heard.put(update)

    def on_exit(self) -> None:
        self._heard.put(None)

    def answer(self, golden: Golden) -> str:
        """Raises BuildError when the engine fails, ConchError when the prompt does not fit."""
        sampling = Sampling(temperature=0.0, max_tokens=golden.max_tokens)
        prompt = self._language.prompt(
            Call(text=golden.prompt, messages=golden.messages, sampling=sampling)
        )
        self._key += 1
        request = EngineRequest(
            np.array(prompt.ids, dtype=np.int64),
            max_tokens=prompt.max_tokens,
            end_id=prompt.end_ids[0],
            stop_sequences=tuple((end,) for end in prompt.end_ids[1:]),
        )
        self._engine.send(Add(self._key, (request,)))
        return self._language.tokenizer.decode(list(self._tokens()))

    def _tokens(self) -> Iterator[int]:
        while True:
            try:
                update = self._heard.get(timeout=TIMEOUT_S)
            except queue.Empty:
                raise BuildError(f"the engine said nothing for {TIMEOUT_S:g} s") from None
            if update is None:
                raise BuildError("the engine process ended while it answered")
            if update.error is not None:
                raise BuildError(f"the engine failed: {update.error}")
            yield from update.tokens
            if update.is_last:
                return


@contextmanager
def _asker(settings: EngineSettings) -> Iterator[_Asker]:
    try:
        language = Language.load(settings.model_path)
    except (ValueError, OSError) as error:
        raise BuildError(f"cannot read the language of the model: {error}") from error
    heard: list[_Asker] = []
    engine = EngineProcess(
        settings,
        Listener(lambda progress: heard[0].on_progress(progress), lambda: heard[0].on_exit()),
    )
    heard.append(_Asker(language, engine))
    try:
        engine.start()
        yield heard[0]
    except EngineLoadError as error:
        raise BuildError(str(error)) from error
    finally:
        engine.close()

"""The step loop's engine: the base model and its resident adapters, a pipeline each.

They share one budget of KV blocks and places, take turns step by step, and so give every running
sequence a token a round, whatever it runs on. Knows no Triton, no pipe and no client.
"""

from collections import deque
from concurrent.futures import Future
from itertools import chain

from serving.contract.errors import UnfitAdapter
from serving.engines.admission import Room, Task, choose
from serving.engines.lora_cache import LoraCache, LoraRefusedError
from serving.engines.lora_input import Lora
from serving.engines.lora_loading import AdapterLoader, Loaded, NoAdaptersError
from serving.engines.messages import EngineSettings, Failure, Key, LoraNews, Update
from serving.engines.openvino import Pipeline, Sequence
from serving.engines.requests import EngineRequest


class Engine:
    """Sequences wait, run and end; `step` moves every running one by at most one token."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._pipelines: dict[Task, Pipeline] = {None: Pipeline(settings, settings.kv_blocks)}
        self._loader, self.why_no_lora = _loader(settings)
        self._cache = LoraCache(settings.lora_max_adapters)
        self._loads: dict[int, Future[Loaded]] = {}
        self._waiting: deque[Sequence] = deque()
        self._load_s: list[float] = []
        self._evictions = 0

    @property
    def running(self) -> int:
        return sum(len(pipeline.running) for pipeline in self._pipelines.values())

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def is_loading(self) -> bool:
        return bool(self._loads)

    @property
    def is_idle(self) -> bool:
        return self.running == 0 and not self._waiting and not self._loads

    @property
    def room(self) -> Room:
        """What is free of the budget that all pipelines share."""
        used = sum(pipeline.used_blocks for pipeline in self._pipelines.values())
        places = self._settings.max_num_seqs - self.running
        return Room(self._settings.kv_blocks - used, places)

    def lora_news(self) -> LoraNews:
        """What came and went since it was last asked."""
        news = LoraNews(len(self._cache), tuple(self._load_s), self._evictions)
        self._load_s, self._evictions = [], 0
        return news

    def add(self, key: Key, request: EngineRequest) -> list[Update]:
        """Let a sequence wait for its start; the end of one whose adapter is refused."""
        sequence = Sequence(key, request.without_weights())
        if request.lora is not None:
            try:
                self._use(request.lora)
            except LoraRefusedError as error:
                return [sequence.update(is_last=True, error=str(error), failure=Failure.LORA)]
        self._waiting.append(sequence)
        return []

    def _use(self, lora: Lora) -> None:
        placed = self._cache.use(lora.task_id, has_weights=lora.tensors is not None)
        if placed.evicted is not None:
            del self._pipelines[placed.evicted]
            self._evictions += 1
        if placed.is_new:
            assert self._loader is not None  # or the request had been refused at the door
            assert lora.tensors is not None
            self._loads[lora.task_id] = self._loader.load(lora.tensors)

    def cancel(self, request_key: int) -> list[Update]:
        """End every sequence of a request; their last updates carry no tokens."""
        waiting = [s for s in self._waiting if s.key[0] == request_key]
        for sequence in waiting:
            self._waiting.remove(sequence)
        running = [s for s in self._all_running() if s.key[0] == request_key]
        for sequence in running:
            self._pipelines[sequence.task].cancel(sequence)
        ended = (*waiting, *running)
        for sequence in ended:
            self._leave(sequence.task)
        return [sequence.update(is_last=True) for sequence in ended]

    def _all_running(self) -> list[Sequence]:
        pipelines = self._pipelines.values()
        return list(chain.from_iterable(pipeline.running.values() for pipeline in pipelines))

    def step(self) -> list[Update]:
        """Admit what fits, run one step of every pipeline with work. Never raises."""
        updates = self._take_loaded() + self._admit()
        for task, pipeline in self._pipelines.items():
            if pipeline.running:
                made = pipeline.step()
                for update in made:
                    if update.is_last:
                        self._leave(task)
                updates += made
        return updates

    def _take_loaded(self) -> list[Update]:
        """Put the pipelines that are ready to work; the ends of those whose adapter is no good."""
        ended: list[Update] = []
        for task_id, load in list(self._loads.items()):
            if load.done():
                del self._loads[task_id]
                ended += self._take(task_id, load)
        return ended

    def _take(self, task_id: int, load: Future[Loaded]) -> list[Update]:
        try:
            loaded = load.result()
        except UnfitAdapter as error:
            return self._drop(task_id, error.message, Failure.UNFIT)
        except Exception as error:  # whatever the library does not like about one adapter
            return self._drop(task_id, f"adapter {task_id}: {error!r}", Failure.STEP)
        self._pipelines[task_id] = loaded.pipeline
        self._cache.done(task_id)
        self._load_s.append(loaded.load_s)
        return []

    def _drop(self, task_id: int, error: str, failure: Failure) -> list[Update]:
        self._cache.drop(task_id)
        dropped = [sequence for sequence in self._waiting if sequence.task == task_id]
        for sequence in dropped:
            self._waiting.remove(sequence)
        return [s.update(is_last=True, error=error, failure=failure) for s in dropped]

    def _admit(self) -> list[Update]:
        """Start what fits; returns the ends of those that the library does not take."""
        own = {task: pipeline.room for task, pipeline in self._pipelines.items()}
        waiting = ((sequence.task, sequence.blocks) for sequence in self._waiting)
        chosen = choose(waiting, self.room, own)
        if not chosen:
            return []
        queue = list(self._waiting)
        self._waiting = deque(s for position, s in enumerate(queue) if position not in chosen)
        return [u for position in sorted(chosen) for u in self._start(queue[position])]

    def _start(self, sequence: Sequence) -> list[Update]:
        try:
            self._pipelines[sequence.task].start(sequence)
        except RuntimeError as error:
            self._leave(sequence.task)
            return [sequence.update(is_last=True, error=str(error))]
        return []

    def _leave(self, task: Task) -> None:
        if task is not None:
            self._cache.done(task)


def _loader(settings: EngineSettings) -> tuple[AdapterLoader | None, str | None]:
    """What loads adapters, or the reason why nothing can."""
    try:
        return AdapterLoader(settings), None
    except NoAdaptersError as error:
        return None, str(error)

"""The adapters a `trtllm-llmapi` engine holds, as PEFT folders that `tensorrt_llm.LLM` reads.

Which ones is decided by `LoraCache`. Used in one event loop; folders are written beside it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from shutil import rmtree

from serving.engines.llmapi_parameters import LlmApiSettings
from serving.engines.lora_cache import LoraCache
from serving.engines.messages import LoraNews
from serving.engines.requests import Lora
from serving.lora import peft
from serving.lora.fit import fitted
from serving.lora.shape import shape_of
from serving.lora.weights import LoraTensors, decode


@dataclass(frozen=True, slots=True)
class AdapterFolder:
    """What a request names its adapter by. `number` is the engine's: positive, of one task only."""

    name: str
    number: int
    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class _Resident:
    folder: AdapterFolder
    writing: asyncio.Future[None]


Write = Callable[[Path, LoraTensors], None]
Tell = Callable[[LoraNews], None]


class Adapters:
    """At most `places` folders below `root`; `write` fills one, or raises UnfitAdapter."""

    def __init__(self, root: Path, places: int, *, write: Write, tell: Tell) -> None:
        self._root = root
        self._write = write
        self._tell = tell
        self._cache = LoraCache(places)
        self._residents: dict[int, _Resident] = {}
        # Kept after an eviction: the engine has a cache of its own, by these numbers.
        self._numbers: dict[int, int] = {}
        self._names = count()

    @asynccontextmanager
    async def lease(self, lora: Lora | None) -> AsyncIterator[AdapterFolder | None]:
        """The folder of the adapter, which stays for the block; None without an adapter.

        Raises LoraRefusedError in TensorRT-LLM's words, or UnfitAdapter.
        """
        if lora is None:
            yield None
            return
        task_id, resident = lora.task_id, self._enter(lora)
        del lora  # its weights are large, and the block may last
        try:
            await asyncio.shield(resident.writing)
            yield resident.folder
        finally:
            if self._residents.get(task_id) is resident:
                self._cache.done(task_id)

    def _enter(self, lora: Lora) -> _Resident:
        placed = self._cache.use(lora.task_id, has_weights=lora.tensors is not None)
        if placed.evicted is not None:
            self._remove(placed.evicted)
            self._tell(LoraNews(len(self._cache), evictions=1))
        if placed.is_new and lora.tensors is not None:
            self._residents[lora.task_id] = self._resident(lora.task_id, lora.tensors)
        return self._residents[lora.task_id]

    def _resident(self, task_id: int, tensors: LoraTensors) -> _Resident:
        number = self._numbers.setdefault(task_id, len(self._numbers) + 1)
        path = self._root / f"{task_id}-{next(self._names)}"
        started_s = time.monotonic()
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(None, self._write, path, tensors)
        writing.add_done_callback(lambda done: self._on_written(task_id, started_s, done))
        return _Resident(AdapterFolder(str(task_id), number, path), writing)

    def _on_written(self, task_id: int, started_s: float, written: asyncio.Future[None]) -> None:
        if written.cancelled() or written.exception() is not None:
            self._cache.drop(task_id)
            self._remove(task_id)
            return
        self._cache.done(task_id)
        self._tell(LoraNews(len(self._cache), load_s=(time.monotonic() - started_s,)))

    def _remove(self, task_id: int) -> None:
        rmtree(self._residents.pop(task_id).folder.path, ignore_errors=True)


def peft_writer(settings: LlmApiSettings) -> Write:
    """Writes tensors as the PEFT folder of the same adapter, for the model of `settings`."""
    shape = shape_of(settings.model_path)

    def write(folder: Path, tensors: LoraTensors) -> None:
        layers = fitted(decode(tensors, shape), shape, settings.lora)
        folder.mkdir(parents=True)
        peft.write(folder, layers, str(settings.model_path), base_model=settings.model_path)

    return write

"""The Triton model `<name>`: its requests become tasks of one event loop that runs in a thread."""

import asyncio
import threading
import time
from functools import partial
from typing import Any

from serving.adapters import python_backend
from serving.adapters.python_backend import (
    ModelConfig,
    Request,
    log_exception,
    log_info,
)
from serving.adapters.triton_stream import TritonStream
from serving.bls.adapter_choice import LORA_INPUTS
from serving.bls.adapter_keeper import keep_warm
from serving.bls.adapter_load import load_adapters
from serving.bls.control import operate
from serving.bls.embeddings import Embeddings
from serving.bls.engine import Arrays, Engine
from serving.bls.ensemble_backend import load_language
from serving.bls.grants import Gate
from serving.bls.guard_metrics import GuardMetrics
from serving.bls.guards import Guards
from serving.bls.metrics import Metrics, RequestClock
from serving.bls.pipeline import Model, answer
from serving.bls.queue_load import load_queue
from serving.bls.queue_metrics import QueueMetrics
from serving.bls.responder import Responder
from serving.contract.calls import Call, Chunk
from serving.contract.errors import ConchError, InternalError
from serving.contract.wire import decode_call, decode_control, single
from serving.settings.secret_files import BadSettings, read_secret

CANCELLATION_PERIOD_S = 0.1


class BlsModel:
    """What `model.py` exports as TritonPythonModel."""

    def initialize(self, args: dict[str, str]) -> None:
        config = ModelConfig(args)
        self._metrics = Metrics(python_backend, config.name)
        self._model = _load(config, self._metrics)
        self._tasks: dict[asyncio.Task[None], Request] = {}
        self._watches: list[asyncio.Task[None]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._loop.call_soon_threadsafe(self._begin)
        log_info(f"{config.name}: ready, context {self._model.language.context_tokens} tokens")

    def _begin(self) -> None:
        """What goes on for as long as the model is loaded."""
        work = [self._watch_cancellations(), self._model.queue.turns.watch()]
        if (adapters := self._model.adapters) is not None:
            work.append(keep_warm(adapters.pool, adapters.registry.pinned, log_info))
        self._watches = [self._loop.create_task(each) for each in work]

    def execute(self, requests: list[Any]) -> None:
        for request in requests:
            self._loop.call_soon_threadsafe(self._start, Request(request))

    def finalize(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        del self._metrics, self._model
        python_backend.release()

    def _start(self, request: Request) -> None:
        task = self._loop.create_task(self._serve(request))
        self._tasks[task] = request
        task.add_done_callback(self._tasks.pop)

    async def _serve(self, request: Request) -> None:
        """Answer one request. Whatever goes wrong in it stays in it."""
        clock = RequestClock(self._metrics, time.monotonic())
        responder = Responder(request, Call())
        try:
            arrays = request.arrays()
            if "control" in arrays:
                await self._operate(request, arrays)
                return
            lora, rest = _own_lora(arrays)
            call = decode_call(rest)
            responder = Responder(request, call)
            emit = partial(self._emit, responder=responder, clock=clock)
            await answer(self._model, call, request.id, emit, lora=lora)
        except asyncio.CancelledError:
            self._metrics.cancellations(1)
            responder.finish()
        except ConchError as error:
            self._fail(responder, error)
        except Exception as error:
            log_exception(f"request '{request.id}'", error)
            self._fail(responder, InternalError("internal error in the model"))
        finally:
            clock.close()

    async def _operate(self, request: Request, arrays: Arrays) -> None:
        operation, grant = decode_control(arrays)
        told = await operate(self._model, operation, grant, request.id)
        request.send({"control": single("STRING", told)}, is_final=True)

    def _emit(self, chunk: Chunk, responder: Responder, clock: RequestClock) -> None:
        # Counted before it is sent: who has the answer finds it in the metrics.
        clock.observe(chunk)
        if responder.ends_with(chunk):
            clock.close()
        responder.emit(chunk)

    def _fail(self, responder: Responder, error: ConchError) -> None:
        self._metrics.errors(1)
        responder.finish(error)

    async def _watch_cancellations(self) -> None:
        """Triton tells of a client that left only when asked."""
        while True:
            await asyncio.sleep(CANCELLATION_PERIOD_S)
            for task, request in list(self._tasks.items()):
                if not task.cancelling() and request.is_cancelled():
                    task.cancel()

    async def _close(self) -> None:
        tasks = [*self._watches, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _load(config: ModelConfig, metrics: Metrics) -> Model:
    triton = TritonStream()
    engine = Engine(config.parameter("engine") or f"{config.name}_engine", triton.infer)
    queue = load_queue(config, QueueMetrics(python_backend, config.name), metrics.show_load)
    language = load_language(config)
    adapters = load_adapters(config, engine, end_id=language.end_ids[0], log=log_info)
    gate = Gate(config.name, _grant_key())
    return Model(gate, language, queue, engine, adapters, _guards(config, triton))


def _guards(config: ModelConfig, triton: TritonStream) -> Guards:
    metrics = GuardMetrics(python_backend, config.name, log_exception)
    return Guards(
        Embeddings(triton.infer, config.text("embedding", "embedding")),
        metrics.tell,
        metrics.failed,
        metrics.wait_ms,
        can_spotlight=config.text("spotlight", "on") != "off",
    )


def _own_lora(arrays: Arrays) -> tuple[Arrays, Arrays]:
    """NVIDIA's LoRA inputs and the rest. Who has a grant says an adapter's name instead."""
    if "grant" in arrays:
        return {}, arrays
    lora = {name: arrays[name] for name in LORA_INPUTS if name in arrays}
    return lora, {name: array for name, array in arrays.items() if name not in lora}


def _grant_key() -> bytes | None:
    try:
        key = read_secret("CONCH_GRANT_KEY")
    except BadSettings as error:
        raise python_backend.load_error(str(error)) from error
    return None if key is None else key.encode()

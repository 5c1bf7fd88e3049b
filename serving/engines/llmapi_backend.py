"""The Triton model `<name>_engine` on TensorRT-LLM's LLM API: the engine contract's tensors.

A sequence is a request of the LLM API of its own. What a GPU alone can show has not been seen:
loading, the tokens, their speed, and how the library behaves when its workers die.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from serving.adapters.python_backend import (
    ModelConfig,
    Request,
    gauge,
    load_error,
    log_exception,
    log_info,
    release,
)
from serving.contract.errors import ConchError, EngineFailed, InternalError, InvalidRequest
from serving.contract.lora_refusals import executor_failed
from serving.engines.llmapi import LlmApi, Step
from serving.engines.llmapi_adapters import AdapterFolder, Adapters, Write, peft_writer
from serving.engines.llmapi_flow import Flow
from serving.engines.llmapi_parameters import LlmApiSettings, settings_of
from serving.engines.llmapi_requests import LlmApiRequest, parse_rows
from serving.engines.llmapi_tasks import RequestTasks
from serving.engines.lora_cache import LoraRefusedError
from serving.engines.lora_metrics import LoraMetrics
from serving.engines.messages import Key, LoraNews, Update
from serving.engines.open_requests import Open, OpenRequests
from serving.engines.requests import is_stop
from serving.engines.responses import encode

WATCH_PERIOD_S = 0.1


class LlmApiModel:
    """What `model.py` exports as TritonPythonModel."""

    def initialize(self, args: dict[str, str]) -> None:
        config = ModelConfig(args)
        settings = settings_of(config)
        self._capacity = settings.capacity
        self._open = OpenRequests()
        self._running = gauge("conch_engine_running", "Sequences in the engine", config.name)
        self._lora = LoraMetrics(config.name)
        self._lora.show(LoraNews())
        write = _writer(settings)
        self._engine = _loaded(settings)
        self._folder = TemporaryDirectory(prefix="conch_adapters_")
        self._adapters = Adapters(
            Path(self._folder.name), settings.max_adapters, write=write, tell=self._lora.show
        )
        self._tasks = RequestTasks(self._watch)
        log_info(f"{config.name}: {settings.model_path} holds {self._capacity.tokens} tokens")

    def execute(self, requests: list[Any]) -> None:
        for triton_request in requests:
            request = Request(triton_request)
            try:
                self._accept(request)
            except ConchError as error:
                request.fail(error)
            except Exception as error:  # one bad request must not end the others
                log_exception(f"request '{request.id}'", error)
                request.fail(_told(error))

    def finalize(self) -> None:
        for opened in self._open.all():
            self._fail(opened, EngineFailed("the model is being unloaded; try again"))
        self._tasks.close()
        self._engine.close()
        self._folder.cleanup()
        del self._running, self._lora
        release()

    def _accept(self, request: Request) -> None:
        arrays = request.arrays()
        if is_stop(arrays):
            self._stop(request)
            return
        opened = self._open.add(request, parse_rows(arrays, self._capacity))
        self._tasks.start(opened.key, self._serve(opened), on_end=lambda: self._end(opened))

    def _stop(self, request: Request) -> None:
        if not request.id:
            raise InvalidRequest("Trying to stop a request but request ID is not provided")
        opened = self._open.by_id(request.id)
        if opened is not None:
            self._tasks.cancel(opened.key)
        request.finish()

    async def _serve(self, opened: Open) -> None:
        """All sequences of a request at once. The first that fails ends the others."""
        try:
            await self._check_guides(opened)
            async with asyncio.TaskGroup() as sequences:
                for row, request in enumerate(opened.rows):
                    for sequence in range(request.n):
                        key = (opened.key, row, sequence)
                        sequences.create_task(self._follow(opened, key))
        except Exception as error:  # the loop serves all requests: one must not end it
            self._fail(opened, error)

    async def _check_guides(self, opened: Open) -> None:
        for guide in {row.guide for row in opened.rows if row.guide is not None}:
            await asyncio.to_thread(self._engine.check, guide)

    async def _follow(self, opened: Open, key: Key) -> None:
        flow = Flow(key, opened.rows[key[1]].is_streamed)
        try:
            async with (
                self._adapters.lease(opened.rows[key[1]].lora) as adapter,
                aclosing(self._generate(opened, key, adapter)) as steps,
            ):
                async for step in steps:
                    self._take(opened, flow, step)
        except asyncio.CancelledError:
            self._respond(opened, flow.leave(is_last=True))
            raise
        except Exception as error:
            self._fail(opened, error)  # before its end ends the others
            raise

    def _generate(
        self, opened: Open, key: Key, adapter: AdapterFolder | None
    ) -> AsyncGenerator[Step, None]:
        opened.rows = tuple(row.without_weights() for row in opened.rows)
        request = opened.rows[key[1]]
        assert isinstance(request, LlmApiRequest)
        return self._engine.generate(request, key[2], adapter)

    def _take(self, opened: Open, flow: Flow, step: Step) -> None:
        """Tokens that are ready together travel together: every message has its price."""
        is_due = flow.is_streamed and flow.is_empty
        flow.add(step)
        if step.is_last:
            self._respond(opened, flow.leave(is_last=True))
        elif is_due:
            asyncio.get_running_loop().call_soon(self._flush, opened, flow)

    def _flush(self, opened: Open, flow: Flow) -> None:
        if flow.is_empty:
            return
        try:
            self._respond(opened, flow.leave(is_last=False))
        except Exception as error:
            self._fail(opened, error)
            self._tasks.cancel(opened.key)

    def _respond(self, opened: Open, update: Update) -> None:
        if self._open.by_key(opened.key) is None:
            return
        opened.left -= update.is_last
        is_final = opened.left == 0
        row = opened.rows[update.key[1]]
        is_batched = len(opened.rows) > 1
        arrays = encode(update, row, arrival_ns=opened.arrival_ns, is_batched=is_batched)
        if is_final and not self._open.close(opened):
            return
        opened.request.send(arrays, is_final=is_final)

    def _fail(self, opened: Open, error: Exception) -> None:
        if not self._open.close(opened):
            return
        if isinstance(error, LoraRefusedError):
            opened.request.fail_with(executor_failed(opened.key, str(error)))
            return
        if not isinstance(error, InvalidRequest):
            log_exception(f"request '{opened.request.id}'", error)
        opened.request.fail(_told(error))

    def _end(self, opened: Open) -> None:
        """A request that was ended before its sequences began still needs its end."""
        if self._open.close(opened):
            opened.request.finish()

    async def _watch(self) -> None:
        """Clients that left: nobody tells of them unasked."""
        while True:
            try:
                self._look()
            except Exception as error:  # whoever watches must not end with what it sees
                log_exception("watching the open requests", error)
            await asyncio.sleep(WATCH_PERIOD_S)

    def _look(self) -> None:
        opened = self._open.all()
        for one in opened:
            if one.request.is_cancelled():
                self._tasks.cancel(one.key)
        self._running(sum(one.left for one in opened))


def _writer(settings: LlmApiSettings) -> Write:
    try:
        return peft_writer(settings)
    except ValueError as error:
        raise load_error(str(error)) from None


def _loaded(settings: LlmApiSettings) -> LlmApi:
    try:
        return LlmApi(settings)
    except ConchError as error:
        if error.__cause__ is not None:
            log_exception("loading TensorRT-LLM", error.__cause__)
        raise load_error(error.message) from None


def _told(error: Exception) -> ConchError:
    if isinstance(error, ConchError):
        return error
    return InternalError("internal error in the engine model")

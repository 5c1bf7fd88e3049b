"""The Triton model `<name>_engine`: engine requests in, tokens out as the step loop makes them."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from serving.adapters.python_backend import (
    ModelConfig,
    Request,
    gauge,
    load_error,
    log_error,
    log_exception,
    log_info,
    release,
)
from serving.contract.calls import Guide
from serving.contract.errors import (
    ConchError,
    EngineFailed,
    InternalError,
    InvalidRequest,
    UnfitAdapter,
)
from serving.contract.lora_refusals import executor_failed
from serving.engines.grammar import GrammarChecker
from serving.engines.lora_metrics import LoraMetrics
from serving.engines.messages import (
    Add,
    Cancel,
    EngineSettings,
    Failure,
    LoraNews,
    Progress,
    Update,
)
from serving.engines.open_requests import Open, OpenRequests
from serving.engines.process import EngineLoadError, EngineProcess, Listener
from serving.engines.requests import Arrays, Capacity, is_stop, parse
from serving.engines.responses import encode

WATCH_PERIOD_S = 0.1


class EngineModel:
    """What `model.py` exports as TritonPythonModel."""

    def initialize(self, args: dict[str, str]) -> None:
        config = ModelConfig(args)
        settings = settings_of(config)
        self._open = OpenRequests()
        self._hung_after_s = config.number("hung_after_s", 60)
        self._heard_s = time.monotonic()
        self._grammar = GrammarChecker()
        self._guided = ThreadPoolExecutor(1, thread_name_prefix="grammar")
        self._is_closing = threading.Event()
        self._running = gauge("conch_engine_running", "Sequences in the running batch", config.name)
        self._waiting = gauge(
            "conch_engine_waiting", "Sequences waiting in the engine", config.name
        )
        self._lora = LoraMetrics(config.name)
        self._process = EngineProcess(settings, Listener(self._on_progress, self._on_exit))
        self._capacity = self._load()
        log_info(f"{config.name}: {settings.model_path} holds {self._capacity.tokens} tokens")
        threading.Thread(target=self._watch, daemon=True).start()

    def _load(self) -> Capacity:
        try:
            return self._process.start()
        except EngineLoadError as error:
            raise load_error(str(error)) from None

    def execute(self, requests: list[Any]) -> None:
        for triton_request in requests:
            request = Request(triton_request)
            try:
                self._accept(request)
            except ConchError as error:
                request.fail(error)
            except Exception as error:  # one bad request must not end the others
                log_exception(f"request '{request.id}'", error)
                request.fail(InternalError("internal error in the engine model"))

    def finalize(self) -> None:
        self._is_closing.set()
        self._guided.shutdown(wait=False, cancel_futures=True)
        self._grammar.close()
        self._process.close()
        for opened in self._open.all():
            self._fail(opened, EngineFailed("the model is being unloaded; try again"))
        del self._running, self._waiting, self._lora
        release()

    def _accept(self, request: Request) -> None:
        arrays = request.arrays()
        if is_stop(arrays):
            self._stop(request)
        else:
            self._start(request, arrays)

    def _stop(self, request: Request) -> None:
        if not request.id:
            raise InvalidRequest("Trying to stop a request but request ID is not provided")
        opened = self._open.by_id(request.id)
        if opened is not None:
            self._cancel(opened)
        request.finish()

    def _start(self, request: Request, arrays: Arrays) -> None:
        rows = parse(arrays, self._capacity)
        opened = self._open.add(request, rows)
        guides = {row.guide for row in rows if row.guide is not None}
        if guides:
            self._guided.submit(self._check_and_send, opened, guides)
        else:
            self._send(opened)

    def _check_and_send(self, opened: Open, guides: set[Guide]) -> None:
        """Compiling takes its time, so it must not hold up `execute`."""
        try:
            for guide in guides:
                if self._open.by_key(opened.key) is not None:
                    self._grammar.check(guide)
        except ConchError as error:
            self._fail(opened, error)
        except Exception as error:
            log_exception(f"request '{opened.request.id}'", error)
            self._fail(opened, InternalError("internal error in the engine model"))
        else:
            self._send(opened)

    def _send(self, opened: Open) -> None:
        if not self._open.mark_sent(opened):
            return
        try:
            self._process.send(Add(opened.key, opened.rows))
        except EngineFailed as error:
            self._fail(opened, error)
        opened.rows = tuple(row.without_weights() for row in opened.rows)
        if self._open.by_key(opened.key) is None:
            self._tell_cancel(opened)  # it ended while it was being sent

    def _on_progress(self, progress: Progress) -> None:
        self._heard_s = time.monotonic()
        for update in progress.updates:
            opened = self._open.by_key(update.key[0])
            if opened is not None:
                self._deliver(opened, update)
        self._show_load(progress.running, progress.waiting)
        self._lora.show(progress.lora)

    def _deliver(self, opened: Open, update: Update) -> None:
        try:
            self._respond(opened, update)
        except Exception as error:  # the listener serves all requests: one must not end it
            log_exception(f"request '{opened.request.id}'", error)
            self._fail(opened, InternalError("internal error in the engine model"))
            self._tell_cancel(opened)

    def _respond(self, opened: Open, update: Update) -> None:
        if update.error is not None:
            self._fail_as(opened, update.error, update.failure)
            self._tell_cancel(opened)
            return
        opened.left -= update.is_last
        is_final = opened.left == 0
        if is_final and not self._open.close(opened):
            return
        row = opened.rows[update.key[1]]
        is_batched = len(opened.rows) > 1
        arrays = encode(update, row, arrival_ns=opened.arrival_ns, is_batched=is_batched)
        opened.request.send(arrays, is_final=is_final)

    def _fail_as(self, opened: Open, error: str, failure: Failure) -> None:
        match failure:
            case Failure.LORA:
                if self._open.close(opened):
                    opened.request.fail_with(executor_failed(opened.key, error))
            case Failure.UNFIT:
                self._fail(opened, UnfitAdapter(error, param="lora_weights"))
            case Failure.STEP:
                log_error(f"request '{opened.request.id}': {error}")
                self._fail(opened, EngineFailed("the engine failed in a step; send it again"))

    def _fail(self, opened: Open, error: ConchError) -> None:
        if self._open.close(opened):
            opened.request.fail(error)

    def _on_exit(self) -> None:
        if self._is_closing.is_set():
            return
        log_error("the engine process ended; starting it again")
        for opened in self._open.all():
            if opened.is_sent:
                self._fail(opened, EngineFailed("the engine process ended; send it again"))
        self._show_load(0, 0)
        self._lora.show(LoraNews())
        try:
            self._process.start()
        except EngineLoadError as error:
            log_error(str(error))
            # A model that looks ready without an engine is worse than none: end the stub.
            os._exit(1)

    def _show_load(self, running: int, waiting: int) -> None:
        self._running(running)
        self._waiting(waiting)

    def _watch(self) -> None:
        """Clients that left, and a step loop that hangs: nobody tells of either unasked."""
        while not self._is_closing.wait(WATCH_PERIOD_S):
            opened = self._open.all()
            for one in opened:
                if one.request.is_cancelled():
                    self._cancel(one)
            self._end_if_hung(is_busy=any(one.is_sent for one in opened))

    def _end_if_hung(self, *, is_busy: bool) -> None:
        if not is_busy:
            self._heard_s = time.monotonic()
        elif time.monotonic() - self._heard_s > self._hung_after_s:
            log_error(f"no step for {self._hung_after_s} s with work to do; ending the engine")
            self._heard_s = time.monotonic()
            self._process.kill()

    def _cancel(self, opened: Open) -> None:
        """End a request that its client no longer wants."""
        if opened.is_sent:
            self._tell_cancel(opened)
        elif self._open.close(opened):
            opened.request.finish()

    def _tell_cancel(self, opened: Open) -> None:
        # Without a child there is nothing to cancel: its end fails every request.
        with suppress(EngineFailed):
            self._process.send(Cancel(opened.key))


def settings_of(config: ModelConfig) -> EngineSettings:
    """The engine's settings out of config.pbtxt's parameters. Raises a load error."""
    return EngineSettings(
        model_path=Path(config.version_dir) / (config.parameter("model") or "model"),
        kv_tokens=config.number("max_tokens_in_paged_kv_cache", 32768),
        max_num_seqs=config.number("max_num_sequences", 64),
        max_num_batched_tokens=config.number("max_num_tokens", 512),
        threads=config.number("threads", 0) or None,
        lora_max_adapters=config.number("lora_max_adapters", 6),
        lora_max_rank=config.number("lora_max_rank", 64),
    )

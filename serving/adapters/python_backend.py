"""Triton's Python backend: the one module that imports `triton_python_backend_utils`.

Its types stop here: models see request ids, dicts of arrays, and our errors.
"""

import asyncio
import gc
import os
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from traceback import format_exception
from typing import Any

import numpy.typing as npt
import orjson

# Exists only inside Triton's stub process.
import triton_python_backend_utils as pb_utils

from serving.contract.addresses import QUEUE_PARAMETERS
from serving.contract.errors import ConchError, to_wire

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]


class ModelConfig:
    """The parts of a model's config.pbtxt that a Python model reads."""

    def __init__(self, args: Mapping[str, str]) -> None:
        self._config: dict[str, Any] = orjson.loads(args["model_config"])
        self.name: str = self._config["name"]
        self.version_dir = f"{args['model_repository']}/{args['model_version']}"

    def parameter(self, key: str) -> str | None:
        """A string parameter; None when it is absent or empty."""
        value = self._config.get("parameters", {}).get(key)
        return value["string_value"] or None if value is not None else None

    @property
    def instances(self) -> int:
        """How many processes run this model."""
        groups = self._config.get("instance_group") or [{}]
        return max(1, sum(int(group.get("count", 1)) for group in groups))

    def text(self, key: str, default: str) -> str:
        """A parameter; the environment wins for those of the queue."""
        return self._told(key) or self.parameter(key) or default

    def number(self, key: str, default: int) -> int:
        """A parameter that is a whole number. Raises what Triton reports as the load's failure."""
        told = self._told(key)
        value = told or self.parameter(key)
        if value is not None and not value.isdigit():
            what = _variable(key) if told else f"parameter '{key}'"
            raise load_error(f"{what} of '{self.name}' is '{value}', not a number")
        return default if value is None else int(value)

    def _told(self, key: str) -> str | None:
        return os.environ.get(_variable(key)) if key in QUEUE_PARAMETERS else None


def _variable(key: str) -> str:
    return f"TRITON_{key.upper()}"


class Request:
    """One inference request of a decoupled model. Whoever holds it must end it exactly once.

    Asking Triton about a request that has ended crashes the server, hence the lock.
    """

    def __init__(self, request: Any) -> None:
        self._request = request
        self._sender = request.get_response_sender()
        self._lock = threading.Lock()
        self._is_ended = False
        self.id: str = request.request_id()

    def arrays(self) -> dict[str, Array]:
        """Its inputs by name, with the batch dimension."""
        return {t.name(): t.as_numpy() for t in self._request.inputs()}

    def is_cancelled(self) -> bool:
        """True when the client went away; False once the request has ended."""
        with self._lock:
            return not self._is_ended and bool(self._sender.is_cancelled())

    def send(self, arrays: Arrays, *, is_final: bool) -> None:
        """Send one response. After a final one nothing more may be sent."""
        self._send(_response(arrays), is_final=is_final)

    def finish(self) -> None:
        """End the request with an empty response: Triton tells nobody of a lone FINAL flag."""
        self._send(_response({}), is_final=True)

    def fail(self, error: ConchError) -> None:
        """End the request with an error the client sees."""
        self._fail(pb_utils.TritonError(to_wire(error), _triton_code(error)))

    def fail_with(self, text: str) -> None:
        """End the request with an error in the words of a contract that is not ours."""
        self._fail(pb_utils.TritonError(text))

    def _fail(self, error: Any) -> None:
        self._send(pb_utils.InferenceResponse(error=error), is_final=True)

    def _send(self, response: Any, *, is_final: bool) -> None:
        flags = int(pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL) if is_final else 0
        with self._lock:
            if self._is_ended:
                raise RuntimeError(f"request '{self.id}' has ended already")
            self._sender.send(response, flags=flags)
            self._is_ended = is_final


def answer_each(requests: Sequence[Any], answer: Callable[[dict[str, Array]], Arrays]) -> list[Any]:
    """Responses of a model that is not decoupled; an error of one request stays with it."""
    return [_answered(request, answer) for request in requests]


async def answer_all(
    requests: Sequence[Any], answer: Callable[[dict[str, Array]], Awaitable[Arrays]]
) -> list[Any]:
    """The same, for answers that are waited for together."""
    return list(await asyncio.gather(*(_awaited(request, answer) for request in requests)))


def _answered(request: Any, answer: Callable[[dict[str, Array]], Arrays]) -> Any:
    try:
        return _response(answer(_inputs(request)))
    except Exception as error:  # one bad request must not end the others of its batch
        return _refused(request, error)


async def _awaited(request: Any, answer: Callable[[dict[str, Array]], Awaitable[Arrays]]) -> Any:
    try:
        return _response(await answer(_inputs(request)))
    except Exception as error:
        return _refused(request, error)


def _inputs(request: Any) -> dict[str, Array]:
    return {t.name(): t.as_numpy() for t in request.inputs()}


def _refused(request: Any, error: Exception) -> Any:
    if isinstance(error, ConchError):
        triton_error = pb_utils.TritonError(to_wire(error), _triton_code(error))
    else:
        log_exception(f"request '{request.request_id()}'", error)
        triton_error = pb_utils.TritonError("internal_error: internal error in the model")
    return pb_utils.InferenceResponse(error=triton_error)


def _response(arrays: Arrays) -> Any:
    tensors = [pb_utils.Tensor(name, array) for name, array in arrays.items()]
    return pb_utils.InferenceResponse(output_tensors=tensors)


def _triton_code(error: ConchError) -> Any:
    codes = {
        400: pb_utils.TritonError.INVALID_ARG,
        404: pb_utils.TritonError.NOT_FOUND,
        499: pb_utils.TritonError.CANCELLED,
        503: pb_utils.TritonError.UNAVAILABLE,
    }
    return codes.get(error.status, pb_utils.TritonError.INTERNAL)


def release() -> None:
    """Drop what belongs to the stub; to be called at the end of `finalize`.

    What lives until the interpreter ends would be freed after the stub's shared memory.
    """
    _FAMILIES.clear()
    gc.collect()


def counter(name: str, description: str, model: str, **labels: str) -> Callable[[float], None]:
    """A Triton counter labelled with the model, and `labels`; returns its `increment`."""
    family = pb_utils.MetricFamily.COUNTER
    return _metric(family, name, description, model, None, **labels).increment  # type: ignore[no-any-return]


def gauge(name: str, description: str, model: str, **labels: str) -> Callable[[float], None]:
    """A Triton gauge labelled with the model, and `labels`; returns its `set`."""
    family = pb_utils.MetricFamily.GAUGE
    return _metric(family, name, description, model, None, **labels).set  # type: ignore[no-any-return]


def histogram(
    name: str, description: str, model: str, buckets: Sequence[float], **labels: str
) -> Callable[[float], None]:
    """A Triton histogram labelled with the model, and `labels`; returns its `observe`."""
    family = pb_utils.MetricFamily.HISTOGRAM
    return _metric(family, name, description, model, buckets, **labels).observe  # type: ignore[no-any-return]


_FAMILIES: dict[str, Any] = {}


def _metric(
    kind: Any,
    name: str,
    description: str,
    model: str,
    buckets: Sequence[float] | None = None,
    **labels: str,
) -> Any:
    # A family must outlive its metrics, or Triton drops them.
    family = _FAMILIES.get(name) or pb_utils.MetricFamily(
        name=name, description=description, kind=kind
    )
    _FAMILIES[name] = family
    # While a model is reloaded its old and its new process live at the same time. Metrics with the
    # same labels would be one inside Triton, and the end of one process would free the other's.
    labels = {"model": model, "pid": str(os.getpid()), **labels}
    if buckets is None:
        return family.Metric(labels=labels)
    return family.Metric(labels=labels, buckets=list(buckets))


def load_error(reason: str) -> Exception:
    """What a model raises in `initialize`: Triton reports `reason` alone, without a traceback."""
    error: Exception = pb_utils.TritonModelException(reason)
    return error


def log_info(text: str) -> None:
    pb_utils.Logger.log_info(text)


def log_error(text: str) -> None:
    pb_utils.Logger.log_error(text)


def log_exception(about: str, error: BaseException) -> None:
    """The whole trace, for the log only."""
    pb_utils.Logger.log_error(about + ": " + "".join(format_exception(error)))

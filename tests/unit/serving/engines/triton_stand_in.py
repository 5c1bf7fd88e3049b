"""What stands in for Triton's Python backend where a model cannot run in Triton's own process."""

import threading
from types import ModuleType, SimpleNamespace

import numpy as np

WAIT_S = 20.0


class TritonModelException(Exception):
    """Why a model does not load."""


class TritonError:
    INTERNAL, INVALID_ARG, NOT_FOUND, CANCELLED, UNAVAILABLE = range(5)

    def __init__(self, message, code=INTERNAL):
        self.message, self.code = message, code


class Tensor:
    def __init__(self, name, array):
        self._name, self._array = name, array

    def name(self):
        return self._name

    def as_numpy(self):
        return self._array


class MetricFamily:
    COUNTER, GAUGE, HISTOGRAM = range(3)

    def __init__(self, name, description, kind):
        self.name, self.values = name, []
        FAMILIES[name] = self

    def Metric(self, labels, buckets=None):  # noqa: N802 - Triton's name
        return SimpleNamespace(
            set=self.values.append, increment=self.values.append, observe=self.values.append
        )


FAMILIES = {}


class Asked:
    """A request as the model sees it, and what it was answered; waits are bounded."""

    def __init__(self, arrays, request_id=""):
        self.arrays, self.id = arrays, request_id
        self.responses, self.is_final, self.is_client_gone = [], False, False
        self._changed = threading.Condition()

    def inputs(self):
        return [Tensor(name, array) for name, array in self.arrays.items()]

    def request_id(self):
        return self.id

    def get_response_sender(self):
        return self

    def is_cancelled(self):
        assert not self.is_final, "asking about a request that has ended crashes Triton"
        return self.is_client_gone

    def send(self, response, flags=0):
        with self._changed:
            assert not self.is_final, "a response after the final one"
            self.responses.append(response)
            self.is_final = bool(flags)
            self._changed.notify_all()

    def wait(self, until):
        with self._changed:
            assert self._changed.wait_for(until, WAIT_S)
        return self

    def ended(self):
        return self.wait(lambda: self.is_final)

    @property
    def error(self):
        """The text of the error that ended it; None without one."""
        error = self.ended().responses[-1].error
        return None if error is None else error.message

    @property
    def outputs(self):
        """Each response as arrays by name."""
        assert self.error is None, self.error
        return [{t.name(): t.as_numpy() for t in r.output_tensors} for r in self.responses]

    @property
    def tokens(self):
        """The tokens of each response that has some."""
        named = [np.ravel(outputs["output_ids"]).tolist() for outputs in self.outputs if outputs]
        return [tokens for tokens in named if tokens]


def backend_module(log):
    """`triton_python_backend_utils`; what a model logs is appended to `log`."""
    module = ModuleType("triton_python_backend_utils")
    module.__dict__.update(
        Tensor=Tensor,
        TritonError=TritonError,
        TritonModelException=TritonModelException,
        MetricFamily=MetricFamily,
        TRITONSERVER_RESPONSE_COMPLETE_FINAL=1,
        InferenceResponse=lambda output_tensors=(), error=None: SimpleNamespace(
            output_tensors=output_tensors, error=error
        ),
        Logger=SimpleNamespace(log_info=log.append, log_error=log.append),
    )
    return module

"""Streams of another model of the same Triton, for the code that runs inside it, by loopback gRPC.

Why not the Python backend's own streaming BLS call: in Triton 2.51 its iterator waits for the GIL
with a lock held that the GIL's holder may want (all streams of the process stop for ever), frees
Python objects without the GIL, and loses errors that follow a response (python_backend#439).
"""

import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from serving.adapters.triton import CHANNEL_OPTIONS, infer_request, our_errors, responses
from serving.contract.addresses import OWN_GRPC

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

DEFAULT_ADDRESS = "127.0.0.1:8001"
_NUMPY_TYPES = {"INT32": np.int32, "INT64": np.int64, "FP32": np.float32}


class TritonStream:
    """A client of this very Triton. Used in one event loop, where it connects at the first call."""

    def __init__(self) -> None:
        self._stub: Any = None
        self._channel: grpc.aio.Channel | None = None

    async def infer(
        self, model: str, arrays: Arrays, outputs: Sequence[str], *, request_id: str
    ) -> AsyncGenerator[dict[str, Array], None]:
        """The outputs of each response of a decoupled model. Raises ConchError.

        Closing it early, or the death of this process, cancels the request in Triton.
        """
        request = infer_request(model, arrays, request_id)
        for name in outputs:
            request.outputs.add(name=name)
        with our_errors():
            stream = self._connected().ModelStreamInfer()
        try:
            async with aclosing(responses(stream, request)) as answers:
                async for response in answers:
                    yield _arrays(response)
        finally:
            stream.cancel()

    async def close(self) -> None:
        """Disconnect, in the event loop in which it was used."""
        if self._channel is not None:
            await self._channel.close()

    def _connected(self) -> Any:
        if self._stub is None:
            address = os.environ.get(OWN_GRPC, DEFAULT_ADDRESS)
            self._channel = grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
            self._stub = GRPCInferenceServiceStub(self._channel)
        return self._stub


def _arrays(response: Any) -> dict[str, Array]:
    pairs = zip(response.outputs, response.raw_output_contents, strict=True)
    return {
        output.name: np.frombuffer(raw, _NUMPY_TYPES[output.datatype]).reshape(output.shape)
        for output, raw in pairs
    }

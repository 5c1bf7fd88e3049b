"""Chunks as the responses of ModelStreamInfer; the last one of an answer says that it is."""

from dataclasses import replace
from typing import Any

from tritonclient.grpc import service_pb2
from tritonclient.utils import np_to_triton_dtype

from gateway.kserve.status import details_of, retry_after_ms
from serving.adapters.triton import raw_bytes
from serving.contract.calls import Call, Chunk
from serving.contract.errors import ConchError
from serving.contract.wire import encode_chunk

FINAL = "triton_final_response"
RETRY = "retry_after_ms"
TEXT = "text_output"
STATE = "state"


class Replies:
    """The responses to one request, for one call of `version` of its model."""

    def __init__(self, request: Any, call: Call, version: str) -> None:
        self._call = call
        self._left = call.n
        self._wanted = frozenset(output.name for output in request.outputs)
        self._empty = _response(request, is_final=False)
        self._empty.infer_response.model_version = version
        self._text = _copy(self._empty)
        self._text.infer_response.outputs.add(name=TEXT, datatype="BYTES", shape=[1, 1])

    @property
    def is_complete(self) -> bool:
        return self._left == 0

    def of(self, chunk: Chunk) -> Any:
        """The response of `chunk`, with the outputs that were asked for; None: it has nothing new.

        What a sequence has used is told at its end, not on the way.
        """
        if chunk.verdicts:  # for the operator: the client hears what comes of them
            chunk = replace(chunk, verdicts=())
        if chunk.is_notice:
            return self._of_all(chunk) if self._wants(STATE) else None
        if chunk == Chunk(chunk.index):
            return None
        return self._of_text(chunk) if _is_plain(chunk) else self._of_all(chunk)

    def _of_text(self, chunk: Chunk) -> Any:
        # Nearly every chunk is one, and NumPy costs more than all the rest of its way.
        if not chunk.text:
            return None
        if self._call.n > 1 or not self._wants(TEXT):
            return self._of_all(chunk)
        message = _copy(self._text)
        text = chunk.text.encode()
        message.infer_response.raw_output_contents.append(len(text).to_bytes(4, "little") + text)
        return message

    def _of_all(self, chunk: Chunk) -> Any:
        if chunk.finish_reason is None:
            chunk = replace(chunk, usage=None)
        else:
            self._left -= 1
        message = _copy(self._empty)
        response = message.infer_response
        response.parameters[FINAL].bool_param = self.is_complete
        for name, array in encode_chunk(chunk, self._call).items():
            if self._wants(name):
                datatype = np_to_triton_dtype(array.dtype)
                response.outputs.add(name=name, datatype=datatype, shape=array.shape)
                response.raw_output_contents.append(raw_bytes(array))
        return message

    def _wants(self, name: str) -> bool:
        """A request that names none wants all."""
        return not self._wanted or name in self._wanted


def _is_plain(chunk: Chunk) -> bool:
    """It has text and nothing else, or not even that."""
    is_between = chunk.finish_reason is None and chunk.state is None
    return is_between and not (chunk.logprobs or chunk.tool_calls or chunk.reasoning)


def failed(request: Any, error: ConchError) -> Any:
    """The end of an answer that failed: the stream and its other answers go on."""
    message = _response(request, is_final=True)
    message.error_message = details_of(error)
    wait_ms = retry_after_ms(error)
    if wait_ms is not None:
        message.infer_response.parameters[RETRY].int64_param = wait_ms
    return message


def _response(request: Any, *, is_final: bool) -> Any:
    message = service_pb2.ModelStreamInferResponse()
    response = message.infer_response
    response.model_name, response.id = request.model_name, request.id
    response.parameters[FINAL].bool_param = is_final
    return message


def _copy(message: Any) -> Any:
    copy = service_pb2.ModelStreamInferResponse()
    copy.CopyFrom(message)
    return copy

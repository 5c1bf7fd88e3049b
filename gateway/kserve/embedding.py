"""ModelInfer of an embedding model: texts through the gateway's path, their vectors back."""

from typing import Any

from tritonclient.grpc import service_pb2
from tritonclient.utils import np_to_triton_dtype

from gateway.api.scheduling import session_of
from gateway.ask import Ask
from gateway.embed import Embeddings, calls_of, embeddings
from gateway.gate import Gate
from gateway.kserve.ask import check_outputs, check_parameters, text_parameter
from gateway.kserve.caller import GrpcCaller
from gateway.kserve.inputs import arrays_of
from gateway.kserve.models import Models
from gateway.kserve.replies import FINAL
from gateway.kserve.rpc import Rpc
from gateway.telemetry import Record
from serving.adapters.triton import raw_bytes
from serving.adapters.triton_embedding import EMBEDDING, IS_TRUNCATED, TEXT, TOKEN_COUNT
from serving.contract.errors import InvalidRequest
from serving.contract.tensors import EMBEDDING_INPUTS, EMBEDDING_OUTPUTS
from serving.contract.wire import Array

_INPUTS = {tensor.name: tensor for tensor in EMBEDDING_INPUTS}
_OUTPUTS = frozenset(tensor.name for tensor in EMBEDDING_OUTPUTS)


async def infer(request: Any, rpc: Rpc, record: Record, gate: Gate, models: Models) -> Any:
    """The response to one request. Raises ConchError."""

    async def receive() -> Any:
        return request

    given = await embeddings(_Caller(rpc, receive, gate.settings), record, gate)
    version = await models.version(given.model.name, asked=request.model_version)
    return _response(request, given, version)


class _Caller(GrpcCaller):
    """A client whose request is texts."""

    async def read(self) -> Ask:
        self.request = await self._receive()
        return ask_of(self.request, session_of(self._rpc.said))


def ask_of(request: Any, session: str | None = None) -> Ask:
    """Raises ConchError with the name of what is wrong."""
    check_parameters(request)
    check_outputs(request, _OUTPUTS)
    given = arrays_of(request, _INPUTS).get(TEXT)
    if given is None or not given.size:
        raise InvalidRequest(f"'{TEXT}' must be given, with at least one text", param=TEXT)
    return Ask(
        request.model_name,
        calls_of([_text(data) for data in given.flat]),
        prompt_bytes=sum(map(len, given.flat)),
        user=text_parameter(request, "user"),
        session=text_parameter(request, "session") or session,
    )


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"'{TEXT}' is not UTF-8", param=TEXT) from None


def _response(request: Any, given: Embeddings, version: str) -> Any:
    """With the outputs that were asked for: a request that names none wants all."""
    response = service_pb2.ModelInferResponse(
        model_name=request.model_name, model_version=version, id=request.id
    )
    response.parameters[FINAL].bool_param = True
    wanted = {output.name for output in request.outputs}
    for name, array in _outputs(given).items():
        if not wanted or name in wanted:
            response.outputs.add(
                name=name, datatype=np_to_triton_dtype(array.dtype), shape=array.shape
            )
            response.raw_output_contents.append(raw_bytes(array))
    return response


def _outputs(given: Embeddings) -> dict[str, Array]:
    made = given.made
    arrays = {
        EMBEDDING: made.vectors,
        TOKEN_COUNT: made.token_counts,
        IS_TRUNCATED: made.is_truncated,
    }
    return {name: array[None] for name, array in arrays.items()}

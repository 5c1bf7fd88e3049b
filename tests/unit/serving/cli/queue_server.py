"""Speaks Triton's protocol for one BLS model that has a queue and takes operations."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.grpc.service_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)

from serving.adapters.triton import raw_bytes
from serving.contract.control import Operation, parse_operation
from serving.contract.errors import ConchError, to_wire
from serving.contract.grant import Grant, verify
from serving.contract.wire import single

KEY = b"k" * 32


@dataclass
class QueueServer(GRPCInferenceServiceServicer):
    """`answer` may raise a ConchError; it hears of operations with a good grant only."""

    answer: Callable[[Operation], bytes]
    inputs: tuple[str, ...] = ("control", "grant")
    asked: list[tuple[str, Operation]] = field(default_factory=list)

    def ModelConfig(self, request: Any, _: Any) -> Any:  # noqa: N802
        inputs = [model_config_pb2.ModelInput(name=name) for name in self.inputs]
        config = model_config_pb2.ModelConfig(name=request.name, input=inputs)
        return service_pb2.ModelConfigResponse(config=config)

    def ModelStreamInfer(self, requests: Any, _: Any) -> Iterator[Any]:  # noqa: N802
        for request in requests:
            try:
                yield _message(self._answer(request))
            except ConchError as error:
                yield service_pb2.ModelStreamInferResponse(error_message=to_wire(error))

    def _answer(self, request: Any) -> bytes:
        names = [tensor.name for tensor in request.inputs]
        texts = [raw[4:].decode() for raw in request.raw_input_contents]
        said = dict(zip(names, texts, strict=True))
        _check(verify(said["grant"], KEY, now=0), request)
        operation = parse_operation(said["control"])
        self.asked.append((request.model_name, operation))
        return self.answer(operation)


def _check(grant: Grant, request: Any) -> None:
    assert (grant.request_id, grant.model) == (request.id, request.model_name)
    assert grant.can_control


def _message(answer: bytes) -> Any:
    message = service_pb2.ModelStreamInferResponse()
    response = message.infer_response
    response.parameters["triton_final_response"].bool_param = True
    response.outputs.add(name="control", datatype="BYTES", shape=[1, 1])
    response.raw_output_contents.append(raw_bytes(single("STRING", answer)))
    return message


@contextmanager
def serving(server: QueueServer) -> Iterator[str]:
    """Its address."""
    with ThreadPoolExecutor(4) as threads:
        host = grpc.server(threads)
        add_GRPCInferenceServiceServicer_to_server(server, host)
        port = host.add_insecure_port("127.0.0.1:0")
        host.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            host.stop(None).wait()

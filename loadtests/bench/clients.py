"""Load generators as lean as they get: raw gRPC messages, and HTTP over plain streams."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import grpc
import numpy as np
import orjson
from tritonclient.grpc import service_pb2, service_pb2_grpc

from loadtests.bench.workload import ANSWER_TOKENS, Answer, Load

Ask = Callable[[list[int]], Awaitable[Answer]]


async def run(load: Load, ask: Ask) -> list[Answer]:
    """Every answer of `load`, its clients side by side."""

    async def client(number: int) -> list[Answer]:
        return [await ask(prompt) for prompt in load.prompts(number)]

    answers = await asyncio.gather(*(client(number) for number in range(load.clients)))
    return [answer for of_client in answers for answer in of_client]


@dataclass(slots=True)
class GrpcClient:
    """A Triton model asked for greedy tokens over `ModelStreamInfer`."""

    channel: grpc.aio.Channel
    model: str
    is_engine: bool
    _requests: int = 0

    async def ask(self, prompt: list[int]) -> Answer:
        self._requests += 1
        make = _engine_request if self.is_engine else _bls_request
        request = make(self.model, f"bench-{self._requests}", prompt)
        started_s = time.perf_counter()
        answer = Answer()
        stub = service_pb2_grpc.GRPCInferenceServiceStub(self.channel)
        call = stub.ModelStreamInfer(_once(request))
        async for message in call:
            if message.error_message:
                raise RuntimeError(message.error_message)
            response = message.infer_response
            if response.outputs:
                answer.at_s.append(time.perf_counter() - started_s)
                answer.tokens += self._tokens(response)
            if response.parameters["triton_final_response"].bool_param:
                break
        return answer

    def _tokens(self, response: service_pb2.ModelInferResponse) -> int:
        for output, raw in zip(response.outputs, response.raw_output_contents, strict=True):
            if self.is_engine and output.name == "output_ids":
                return len(raw) // 4
            if output.name == "usage":
                return int(orjson.loads(raw[4:])["completion_tokens"])
        return 0


async def _once(
    request: service_pb2.ModelInferRequest,
) -> AsyncIterator[service_pb2.ModelInferRequest]:
    yield request


def _engine_request(model: str, request_id: str, prompt: list[int]) -> object:
    request = _request(model, request_id)
    _add(request, "input_ids", "INT32", [1, len(prompt)], np.array(prompt, np.int32).tobytes())
    _add(request, "input_lengths", "INT32", [1, 1], np.int32(len(prompt)).tobytes())
    _add(request, "request_output_len", "INT32", [1, 1], np.int32(ANSWER_TOKENS).tobytes())
    _add(request, "streaming", "BOOL", [1, 1], b"\x01")
    return request


def _bls_request(model: str, request_id: str, prompt: list[int]) -> object:
    request = _request(model, request_id)
    _add(request, "input_ids", "INT32", [1, len(prompt)], np.array(prompt, np.int32).tobytes())
    _add(request, "max_tokens", "INT32", [1, 1], np.int32(ANSWER_TOKENS).tobytes())
    _add(request, "temperature", "FP32", [1, 1], np.float32(0).tobytes())
    _add(request, "stream", "BOOL", [1, 1], b"\x01")
    return request


def _request(model: str, request_id: str) -> service_pb2.ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name=model, id=request_id)
    request.parameters["triton_enable_empty_final_response"].bool_param = True
    return request


def _add(
    request: service_pb2.ModelInferRequest, name: str, dtype: str, shape: list[int], data: bytes
) -> None:
    request.inputs.add(name=name, datatype=dtype, shape=shape)
    request.raw_input_contents.append(data)


@dataclass(frozen=True, slots=True)
class SseClient:
    """The gateway's `/v1/completions`, streamed; `priority` is the class it asks for."""

    host: str
    port: int
    api_key: str
    model: str
    priority: str = "standard"
    max_tokens: int = ANSWER_TOKENS

    async def ask(self, prompt: list[int] | str) -> Answer:
        started_s = time.perf_counter()
        answer = Answer()
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(self._request(prompt))
        async for line in reader:
            if not line.startswith(b"data: {"):
                _raise_for_status(line)
                continue
            event = orjson.loads(line[6:])
            if event.get("usage"):
                answer.tokens = event["usage"]["completion_tokens"]
            elif event["choices"][0]["text"] or event["choices"][0]["finish_reason"]:
                answer.at_s.append(time.perf_counter() - started_s)
        writer.close()
        await writer.wait_closed()
        return answer

    def _request(self, prompt: list[int] | str) -> bytes:
        body = orjson.dumps(
            {
                "model": self.model,
                "prompt": prompt,
                "max_tokens": self.max_tokens,
                "temperature": 0,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
        )
        head = (
            f"POST /v1/completions HTTP/1.1\r\nHost: {self.host}\r\n"
            f"Authorization: Bearer {self.api_key}\r\nX-Priority: {self.priority}\r\n"
            f"Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body


def _raise_for_status(line: bytes) -> None:
    if line.startswith(b"HTTP/1.1 ") and not line.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(line.decode().strip())

"""An unmodified tritonclient through the gateway's gRPC front, before the real Triton."""

import asyncio
import queue
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from gateway.kserve.models import Models
from gateway.stages.auth import ALONE
from serving.adapters.triton import infer_request
from serving.contract.calls import Call, Chunk, FinishReason, Sampling
from serving.contract.errors import ModelNotFound
from serving.contract.wire import decode_chunk, encode_call, single, strings
from tests.e2e.gateway_wire import eventually
from tests.kserve_front import HEADERS, METADATA, Hosted, front, stub_of

HELLO = ({"role": "user", "content": "hello"},)
GREEDY = Sampling(temperature=0.0, max_tokens=40)
ENDLESS = Sampling(temperature=0.0, max_tokens=900, min_tokens=900)
STREAM_REQUESTS = 8
HIDDEN = ("demo_engine", "demo_ensemble", "nope")
Arrays = Mapping[str, Any]


@pytest.fixture(scope="module")
async def hosted(stack) -> AsyncIterator[Hosted]:
    async with front(stack.triton_grpc, stream_requests=STREAM_REQUESTS) as hosted:
        yield hosted


@pytest.fixture
async def client(hosted) -> AsyncIterator[triton_aio.InferenceServerClient]:
    async with triton_aio.InferenceServerClient(hosted.address) as client:
        yield client


@pytest.fixture
async def stub(hosted) -> AsyncIterator[Any]:
    async with stub_of(hosted) as stub:
        yield stub


def inputs(arrays: Arrays, module: Any = triton_aio) -> list[Any]:
    made = []
    for name, array in arrays.items():
        tensor = module.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        made.append(tensor.set_data_from_numpy(array))
    return made


def chunk_of(result: Any) -> Chunk:
    outputs = result.get_response().outputs
    return decode_chunk({output.name: result.as_numpy(output.name) for output in outputs})


def text_of(chunks: list[Chunk], index: int = 0) -> str:
    return "".join(chunk.text for chunk in chunks if chunk.index == index)


async def once(model: str, arrays: Arrays) -> AsyncIterator[dict[str, Any]]:
    yield {"model_name": model, "inputs": inputs(arrays)}


async def streamed(
    client: triton_aio.InferenceServerClient, call: Call, model: str = "demo"
) -> list[Chunk]:
    """All that the aio client gets; raises the error of its request."""
    chunks = []
    stream = client.stream_infer(once(model, encode_call(call)), headers=HEADERS)
    async for result, error in stream:
        if error is not None:
            raise error
        chunks.append(chunk_of(result))
    return chunks


async def by_rest(stack: Any, **body: Any) -> list[str]:
    """The texts that the REST API answers."""
    body = {"model": stack.model, "messages": list(HELLO), **body}
    async with httpx.AsyncClient(trust_env=False, headers=stack.authorization) as http:
        reply = await http.post(f"{stack.base_url}/chat/completions", json=body)
    return [choice["message"]["content"] for choice in reply.json()["choices"]]


async def refusal(awaitable: Awaitable[Any]) -> tuple[str | None, str]:
    """Status and text of an error, as tritonclient tells them."""
    with pytest.raises(InferenceServerException) as caught:
        await awaitable
    return caught.value.status(), caught.value.message()


async def test_the_answer_is_that_of_the_rest_api(stack, client):
    whole = await by_rest(stack, temperature=0, max_tokens=40)
    pieces = await streamed(client, Call(messages=HELLO, sampling=GREEDY, is_streamed=True))
    assert len(pieces) > 1
    assert [text_of(pieces)] == whole
    assert pieces[-1].finish_reason is FinishReason.STOP
    assert pieces[-1].usage.prompt_tokens > 5


async def test_several_seeded_answers_are_those_of_the_rest_api(stack, client):
    whole = await by_rest(stack, temperature=1.5, max_tokens=20, seed=5, n=3)
    sampling = Sampling(temperature=1.5, max_tokens=20, seed=5)
    for is_streamed in (True, False):
        call = Call(messages=HELLO, sampling=sampling, n=3, is_streamed=is_streamed)
        chunks = await streamed(client, call)
        assert [text_of(chunks, index) for index in range(3)] == whole
        assert is_streamed or len(chunks) == 3


@pytest.mark.parametrize("compression", [None, "gzip"])
async def test_plain_infer_answers_whole(stack, client, compression):
    result = await client.infer(
        "demo",
        inputs(encode_call(Call(messages=HELLO, sampling=GREEDY))),
        model_version="1",
        request_id="mine",
        headers=HEADERS,
        compression_algorithm=compression,
    )
    assert [chunk_of(result).text] == await by_rest(stack, temperature=0, max_tokens=40)
    response = result.get_response()
    assert (response.id, response.model_name, response.model_version) == ("mine", "demo", "1")


async def test_plain_infer_has_one_response(client):
    for call in (Call(text="a", is_streamed=True), Call(text="a", n=2)):
        asked = client.infer("demo", inputs(encode_call(call)), headers=HEADERS)
        status, text = await refusal(asked)
        assert (status, "ModelStreamInfer" in text) == ("StatusCode.INVALID_ARGUMENT", True)


def sync_stream(address: str, arrays: Arrays, request_id: str) -> list[Any]:
    """What the callback of the sync client gets, up to the response that says it is the last."""
    got: queue.Queue[Any] = queue.Queue()
    results = []
    with triton.InferenceServerClient(address) as client:
        client.start_stream(lambda result, error: got.put(error or result), headers=HEADERS)
        client.async_stream_infer(
            "demo", inputs(arrays, triton), request_id=request_id, enable_empty_final_response=True
        )
        while True:
            results.append(got.get(timeout=10))
            parameters = results[-1].get_response().parameters
            if parameters["triton_final_response"].bool_param:
                return results


async def test_the_sync_client_streams_too(stack, hosted):
    call = Call(messages=HELLO, sampling=GREEDY, is_streamed=True)
    results = await asyncio.to_thread(sync_stream, hosted.address, encode_call(call), "mine")
    assert {result.get_response().id for result in results} == {"mine"}
    texts = await by_rest(stack, temperature=0, max_tokens=40)
    assert [text_of([chunk_of(result) for result in results])] == texts


def sync_tour(address: str) -> None:
    with triton.InferenceServerClient(address) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("demo", headers=HEADERS)
        assert not client.is_model_ready("demo", "7", headers=HEADERS)
        assert client.get_server_metadata(headers=HEADERS).name == "conch"
        metadata = client.get_model_metadata("demo", headers=HEADERS)
        assert (metadata.name, list(metadata.versions)) == ("demo", ["1"])
        config = client.get_model_config("demo", headers=HEADERS).config
        assert (config.max_batch_size, config.model_transaction_policy.decoupled) == (1, True)
        index = client.get_model_repository_index(headers=HEADERS).models
        assert [(model.name, model.version, model.state) for model in index] == [
            ("demo", "1", "READY"),
            ("embedding", "1", "READY"),
        ]


async def test_the_sync_client_is_told_about_server_and_models(stack, hosted):
    await asyncio.to_thread(sync_tour, hosted.address)


async def test_what_is_not_for_clients_is_not_shown_to_them(stack, client):
    metadata = await client.get_model_metadata("demo", headers=HEADERS)
    config = (await client.get_model_config("demo", headers=HEADERS)).config
    for shown in (metadata.inputs, config.input):
        names = {tensor.name for tensor in shown}
        assert names >= {"text_input", "messages", "max_tokens", "stream"}
        assert not {name for name in names if name in ("grant", "control") or "lora" in name}
    assert not config.parameters
    assert {output.name for output in config.output} >= {"text_output", "usage"}


@pytest.mark.parametrize("model", HIDDEN)
async def test_engine_and_ensemble_look_as_if_they_were_not_there(client, model):
    async def ask(text: str = "a") -> Any:
        return await client.infer(model, inputs({"text_input": strings([text])}), headers=HEADERS)

    expected = f"model_not_found[model]: model '{model}' is not deployed; GET /v1/models lists"
    for call in (
        ask(),
        client.get_model_metadata(model, headers=HEADERS),
        client.get_model_config(model, headers=HEADERS),
    ):
        status, text = await refusal(call)
        assert (status, text.startswith(expected)) == ("StatusCode.NOT_FOUND", True)
    _, text = await refusal(streamed(client, Call(text="a"), model))
    assert text.startswith(expected)
    assert not await client.is_model_ready(model, headers=HEADERS)


async def test_a_model_that_one_may_not_use_is_not_there(hosted):
    models = Models(hosted.gate)
    nobody = replace(ALONE, models=("other",))
    assert not (await models.index(nobody)).models
    assert not await models.is_ready("demo", "", nobody)
    for tell in (models.metadata, models.config):
        with pytest.raises(ModelNotFound, match="'demo' is not deployed"):
            await tell("demo", "", nobody)
    mine = [model.name for model in (await models.index(ALONE)).models]
    assert mine == ["demo", "embedding"]


async def test_another_version_is_not_there(client):
    asked = client.infer(
        "demo", inputs({"text_input": strings(["a"])}), model_version="7", headers=HEADERS
    )
    assert (await refusal(asked))[0] == "StatusCode.NOT_FOUND"


@pytest.mark.parametrize("headers", [None, {"authorization": "Bearer sk-other"}])
async def test_a_stream_without_a_good_key_is_refused(client, headers):
    stream = client.stream_infer(once("demo", {"text_input": strings(["a"])}), headers=headers)
    with pytest.raises(grpc.aio.AioRpcError, match="invalid_api_key: ") as caught:
        await anext(aiter(stream))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("name", ["control", "grant"])
async def test_a_client_can_smuggle_nothing_in(client, name):
    arrays = {"text_input": strings(["a"]), name: strings(["{}"])}
    status, text = await refusal(client.infer("demo", inputs(arrays), headers=HEADERS))
    assert status == "StatusCode.PERMISSION_DENIED"
    assert text.startswith(f"permission_denied[{name}]: ")


def made(text: str, request_id: str, **more: Any) -> Any:
    arrays = {"text_input": strings([text]), "max_tokens": single("INT32", 4)}
    return infer_request("demo", arrays | {"stream": single("BOOL", True)} | more, request_id)


async def answers_to(stub: Any, *requests: Any) -> dict[str, list[Any]]:
    """The messages of one stream, by the id of their request."""

    async def all_of_them() -> AsyncIterator[Any]:
        for request in requests:
            yield request

    answers: dict[str, list[Any]] = {request.id: [] for request in requests}
    async for message in stub.ModelStreamInfer(all_of_them(), metadata=METADATA):
        answers[message.infer_response.id].append(message)
    return answers


def is_final(message: Any) -> bool:
    return message.infer_response.parameters["triton_final_response"].bool_param


async def test_an_error_of_one_request_leaves_the_stream_to_the_others(stub):
    bad_type = made("a", "bad-type")
    bad_type.inputs[1].datatype = "INT64"
    requests = [
        made("a", "good-1"),
        bad_type,
        made("a", "good-2"),
        made("a" * 9000, "too-long"),  # found by the model itself
        made("a", "hot", temperature=single("FP32", float("nan"))),
        infer_request("nope", {"text_input": strings(["a"])}, "unknown"),
        made("a", "good-3"),
    ]
    answers = await answers_to(stub, *requests)
    codes = {
        request_id: messages[-1].error_message.partition("[")[0]
        for request_id, messages in answers.items()
    }
    assert codes == {
        "good-1": "",
        "bad-type": "invalid_request",
        "good-2": "",
        "too-long": "context_length_exceeded",
        "hot": "invalid_request",
        "unknown": "model_not_found",
        "good-3": "",
    }
    for messages in answers.values():
        assert [is_final(message) for message in messages] == [False] * (len(messages) - 1) + [True]


async def test_a_stream_is_read_no_further_than_it_is_answered(hosted, stub):
    stream = stub.ModelStreamInfer(metadata=METADATA)
    for number in range(64):
        await stream.write(made("a", f"r-{number}"))
    await stream.done_writing()
    in_flight, ended = set(), []
    while (message := await stream.read()) is not grpc.aio.EOF:
        assert message.error_message == ""
        in_flight.add(hosted.sample("in_flight", endpoint="grpc"))
        ended += [message.infer_response.id] * is_final(message)
    assert sorted(ended) == sorted(f"r-{number}" for number in range(64))
    assert 1 < max(in_flight) <= STREAM_REQUESTS


async def test_requested_outputs_are_all_that_comes(client):
    result = await client.infer(
        "demo",
        inputs(encode_call(Call(messages=HELLO, sampling=GREEDY))),
        outputs=[triton_aio.InferRequestedOutput("finish_reason")],
        headers=HEADERS,
    )
    assert [output.name for output in result.get_response().outputs] == ["finish_reason"]


async def test_what_nvidias_clients_ask_for_comes_through(client):
    call = Call(
        messages=HELLO,
        sampling=GREEDY,
        has_logprobs=True,
        has_engine_times=True,
        has_token_counts=True,
    )
    result = await client.infer("demo", inputs(encode_call(call)), headers=HEADERS)
    log_probs = result.as_numpy("output_log_probs").reshape(-1)
    assert result.as_numpy("num_output_tokens").item() - len(log_probs) in (0, 1)
    assert result.as_numpy("cum_log_probs").item() <= float(np.sum(log_probs)) + 1e-3
    assert result.as_numpy("arrival_time_ns").item() < result.as_numpy("last_token_time_ns").item()


async def test_every_request_is_counted_once(hosted, stub):
    totals = ("requests_total", "prompt_tokens_total", "completion_tokens_total")
    before = [hosted.sample(name, model="demo") for name in totals]
    least = single("INT32", 4)
    await answers_to(stub, *(made("a", f"r-{number}", min_tokens=least) for number in range(3)))
    after = [hosted.sample(name, model="demo") for name in totals]
    counted = [now - then for now, then in zip(after, before, strict=True)]
    assert counted == [3, 3, 12]
    assert hosted.sample("in_flight") == 0


async def metric(stack: Any, name: str) -> float:
    """A metric of the model. Asked for aside: the front under test is in this event loop."""

    def ask() -> str:
        with urllib.request.urlopen(stack.triton_metrics_url) as page:
            return page.read().decode()

    lines = (await asyncio.to_thread(ask)).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def is_idle(stack: Any) -> bool:
    names = ("conch_requests_running", "conch_requests_waiting")
    return all([await metric(stack, name) == 0 for name in names])


@asynccontextmanager
async def cancelling(stack: Any, hosted: Hosted) -> AsyncIterator[None]:
    """The block must cancel one request, in the engine and in the gateway's own books."""
    cancelled = "conch_cancellations_total"
    before = await metric(stack, cancelled)
    counted = hosted.sample("cancelled_total", model="demo")
    yield
    await eventually(partial(is_idle, stack), within_s=2)
    assert await metric(stack, cancelled) == before + 1
    assert hosted.sample("cancelled_total", model="demo") == counted + 1
    assert hosted.sample("in_flight") == 0


# Keeps the engine busy for longer than any test looks.
BUSY = encode_call(Call(messages=HELLO, sampling=ENDLESS, n=16, is_streamed=True))


def sync_stop(address: str) -> None:
    got: queue.Queue[Any] = queue.Queue()
    with triton.InferenceServerClient(address) as client:
        client.start_stream(lambda result, error: got.put(error or result), headers=HEADERS)
        client.async_stream_infer("demo", inputs(BUSY, triton))
        got.get(timeout=10)
        client.stop_stream(cancel_requests=True)


async def test_stopping_a_stream_frees_the_engine(stack, hosted):
    async with cancelling(stack, hosted):
        await asyncio.to_thread(sync_stop, hosted.address)


async def test_cancelling_an_aio_stream_frees_the_engine(stack, hosted, client):
    async with cancelling(stack, hosted):
        stream = client.stream_infer(once("demo", BUSY), headers=HEADERS)
        await anext(aiter(stream))
        stream.cancel()


async def test_closing_the_channel_frees_the_engine(stack, hosted):
    async with cancelling(stack, hosted), grpc.aio.insecure_channel(hosted.address) as channel:
        stream = triton.service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer(
            metadata=METADATA
        )
        await stream.write(infer_request("demo", BUSY, ""))
        await stream.read()


async def test_a_deadline_of_the_client_frees_the_engine(stack, hosted, client):
    async with cancelling(stack, hosted):
        stream = client.stream_infer(once("demo", BUSY), stream_timeout=0.3, headers=HEADERS)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read_all(stream)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def read_all(stream: Any) -> None:
    async for _ in stream:
        pass


async def test_a_client_that_reads_nothing_is_given_up(stack):
    async with (
        front(stack.triton_grpc, stall_timeout_s=0.3) as hosted,
        stub_of(hosted) as stub,
    ):

        async def is_given_up() -> bool:
            return hosted.sample("cancelled_total", model="demo") == 1

        stream = stub.ModelStreamInfer(metadata=METADATA)
        # The id comes back with every response: so a few of them fill all buffers on the way.
        await stream.write(infer_request("demo", BUSY, "x" * 400_000))
        await eventually(is_given_up, within_s=5)
        await eventually(partial(is_idle, stack), within_s=2)
        error = await end_of(stream)
    assert error.code() is grpc.StatusCode.CANCELLED
    assert "took nothing for 0.3 s" in error.details()


async def running(stack: Any, count: int) -> bool:
    return await metric(stack, "conch_requests_running") >= count


async def end_of(call: Any) -> grpc.aio.AioRpcError:
    """The error that a call ends in."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read_out(call)
    return caught.value


async def read_out(call: Any) -> None:
    if isinstance(call, grpc.aio.UnaryUnaryCall):
        await call
        return
    while await call.read() is not grpc.aio.EOF:
        pass


async def test_a_front_that_ends_says_so_and_frees_the_engine(stack):
    whole = infer_request("demo", encode_call(Call(messages=HELLO, sampling=ENDLESS)), "")
    async with AsyncExitStack() as channels:
        async with front(stack.triton_grpc) as hosted:
            stub = await channels.enter_async_context(stub_of(hosted))
            stream = stub.ModelStreamInfer(metadata=METADATA)
            await stream.write(infer_request("demo", BUSY, ""))
            await stream.read()
            asked = stub.ModelInfer(whole, metadata=METADATA)
            await eventually(partial(running, stack, 2), within_s=2)
        errors = [await end_of(stream), await end_of(asked)]
    for error in errors:
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "shutting down" in error.details()
    assert hosted.sample("requests_total", model="demo", reason="unavailable") == 2
    await eventually(partial(is_idle, stack), within_s=2)

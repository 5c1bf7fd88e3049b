"""Chunks become the responses that Triton itself would send; the last one says that it is."""

from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import InferResult, service_pb2

from gateway.kserve.replies import FINAL, Replies, failed
from serving.contract.calls import (
    Call,
    Chunk,
    EngineTimes,
    FinishReason,
    Timings,
    TokenLogprob,
    Usage,
)
from serving.contract.errors import QuotaTokens
from serving.contract.tools import ToolCallDelta
from serving.contract.wire import decode_chunk

TEXT = st.text(max_size=5)
STOP = FinishReason.STOP
LAST = Chunk(
    text="z",
    logprobs=(TokenLogprob(1, b"z", -0.5),),
    finish_reason=STOP,
    usage=Usage(3, 2),
    timings=Timings(1.0, 2.0, 3.0),
    engine_times=EngineTimes(1, 2, 3, 4),
    cum_logprob=-0.5,
)


def request(*outputs: str, request_id: str = "r-1") -> Any:
    made = service_pb2.ModelInferRequest(model_name="m", id=request_id)
    for name in outputs:
        made.outputs.add(name=name)
    return made


def sent(chunks: Iterable[Chunk], call: Call, *outputs: str) -> list[Any]:
    replies = Replies(request(*outputs), call, "7")
    messages = (replies.of(chunk) for chunk in chunks)
    return [message.infer_response for message in messages if message is not None]


def chunk_of(response: Any) -> Chunk:
    result = InferResult(response)
    return decode_chunk({output.name: result.as_numpy(output.name) for output in response.outputs})


def finals(responses: list[Any]) -> list[bool]:
    return [response.parameters[FINAL].bool_param for response in responses]


def names(response: Any) -> list[str]:
    return [output.name for output in response.outputs]


@given(TEXT.filter(bool))
def test_text_comes_through_both_ways_of_wording_it(text: str) -> None:
    (fast,) = sent([Chunk(text=text)], Call())
    (slow,) = sent([Chunk(text=text)], Call(n=2))
    assert chunk_of(fast) == chunk_of(slow) == Chunk(text=text)


def test_a_response_says_whose_it_is() -> None:
    for response in sent([Chunk(text="a"), LAST], Call()):
        assert (response.model_name, response.model_version, response.id) == ("m", "7", "r-1")


def test_all_that_a_last_chunk_knows_comes_through() -> None:
    call = Call(has_engine_times=True, has_token_counts=True, has_logprobs=True)
    (response,) = sent([LAST], call)
    assert chunk_of(response) == LAST
    assert InferResult(response).as_numpy("num_input_tokens").item() == 3


@given(st.integers(1, 3), st.permutations([0, 0, 1, 1, 2, 2]))
def test_only_the_last_chunk_of_the_last_sequence_is_final(n: int, turns: list[int]) -> None:
    said = [0, 0, 0]
    chunks = []
    for index in (turn for turn in turns if turn < n):
        said[index] += 1
        chunks.append(Chunk(index, "a", finish_reason=STOP if said[index] == 2 else None))
    assert finals(sent(chunks, Call(n=n))) == [False] * (2 * n - 1) + [True]


def test_calls_and_reasoning_come_through_as_they_are_made() -> None:
    call = ToolCallDelta(0, "call_1", "get", '{"a"')
    chunks = [Chunk(reasoning="hm"), Chunk(), Chunk(tool_calls=(call,)), Chunk(text="a")]
    responses = sent(chunks, Call())
    assert [chunk_of(response) for response in responses] == [chunks[0], *chunks[2:]]
    assert names(sent(chunks, Call(), "tool_calls")[1]) == ["tool_calls"]


def test_requested_outputs_are_all_that_is_sent() -> None:
    chunks = [Chunk(text="a"), LAST]
    assert [names(r) for r in sent(chunks, Call(), "text_output")] == [["text_output"]] * 2
    responses = sent(chunks, Call(), "finish_reason", "usage")
    assert [names(r) for r in responses] == [[], ["finish_reason", "usage"]]
    assert finals(responses) == [False, True]


def test_what_is_used_is_told_at_the_end_only() -> None:
    used = Usage(3, 1)
    chunks = [Chunk(usage=used), Chunk(text="a", usage=used), LAST]
    for call in (Call(), Call(n=1, has_token_counts=True)):
        assert [("usage" in names(r)) for r in sent(chunks, call)] == [False, True]


def test_a_failure_ends_its_own_request_with_code_and_name() -> None:
    message = failed(request(request_id="r-9"), QuotaTokens("no tokens left", param="max_tokens"))
    assert message.error_message == "quota_tokens[max_tokens]: no tokens left"
    assert message.infer_response.id == "r-9"
    assert finals([message.infer_response]) == [True]

"""The gRPC front where people find it: in the stack's own gateway, with the key it printed."""

import queue
from typing import Any

import openai
import pytest
import tritonclient.grpc as triton
from asking import PROMPT, inputs
from tritonclient.utils import InferenceServerException

GREEDY = {"max_tokens": 24, "temperature": 0.0}


@pytest.fixture
def client(stack):
    port = stack.variables["GATEWAY_GRPC_PORT"]
    with triton.InferenceServerClient(f"127.0.0.1:{port}") as client:
        yield client


def by_rest(stack: Any) -> str:
    with openai.OpenAI(base_url=stack.base_url, api_key=stack.api_key) as rest:
        reply = rest.completions.create(model=stack.model, prompt=PROMPT, **GREEDY)
    return reply.choices[0].text


def test_tritonclient_gets_what_openais_client_gets(stack, client):
    headers = {"authorization": f"Bearer {stack.api_key}"}
    whole = client.infer(stack.model, inputs(**GREEDY), headers=headers)
    assert whole.as_numpy("text_output").item().decode() == by_rest(stack)

    got: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: got.put(error or result), headers=headers)
    client.async_stream_infer(stack.model, inputs(**GREEDY, stream=True))
    text = ""
    while True:
        result = got.get(timeout=10)
        text += result.as_numpy("text_output").item().decode()
        if result.get_response().parameters["triton_final_response"].bool_param:
            break
    client.stop_stream()
    assert text == by_rest(stack)


def test_another_key_opens_nothing(stack, client):
    assert client.is_server_live()
    with pytest.raises(InferenceServerException) as refused:
        client.infer(
            stack.model, inputs(**GREEDY), headers={"authorization": "Bearer ck_live_no_no"}
        )
    assert refused.value.status() == "StatusCode.UNAUTHENTICATED"

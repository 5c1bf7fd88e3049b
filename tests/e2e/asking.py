"""Single requests by REST and by gRPC, as people's clients send them."""

from typing import Any

import httpx
import numpy as np
import tritonclient.grpc as triton
from governed import Key

PROMPT = "The sea is"
SHORT = {"max_tokens": 4}
TIMEOUT_S = 60.0
_KINDS = {
    bool: ("BOOL", np.bool_),
    int: ("INT32", np.int32),
    float: ("FP32", np.float32),
    str: ("BYTES", np.object_),
}


def by_rest(stack: Any, key: Key, request_id: str = "", **more: Any) -> httpx.Response:
    """On a connection of its own."""
    return httpx.post(
        f"{stack.base_url}/completions",
        json={"model": stack.model, "prompt": PROMPT, **SHORT, **more},
        headers={**key.headers, "x-request-id": request_id},
        trust_env=False,
        timeout=TIMEOUT_S,
    )


def by_grpc(stack: Any, key: Key, request_id: str = "", **more: Any) -> str:
    """The answer to an unmodified tritonclient, or its InferenceServerException."""
    address = f"127.0.0.1:{stack.variables['GATEWAY_GRPC_PORT']}"
    with triton.InferenceServerClient(address) as client:
        asked = inputs(**{**SHORT, **more})
        got = client.infer(stack.model, asked, request_id=request_id, headers=key.headers)
    text: bytes = got.as_numpy("text_output").item()
    return text.decode()


def inputs(**options: Any) -> list[Any]:
    made = []
    for name, value in {"text_input": PROMPT, **options}.items():
        datatype, kind = _KINDS[type(value)]
        tensor = triton.InferInput(name, [1, 1], datatype)
        made.append(tensor.set_data_from_numpy(np.array([[value]], kind)))
    return made

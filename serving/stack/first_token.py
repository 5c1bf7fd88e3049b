"""The proof that a stack is up: a token that came all the way through the gateway."""

import asyncio
import time

import httpx

from serving.stack.endpoint import GREETING, Endpoint, piece_of
from serving.stack.errors import StackError

RETRY_S = 0.1


async def first_token(endpoint: Endpoint, *, timeout_s: float) -> None:
    """Returns when the gateway has streamed a token; StackError with its last refusal otherwise."""
    deadline = time.monotonic() + timeout_s
    headers = {"Authorization": f"Bearer {endpoint.api_key}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=timeout_s) as client:
        while (refusal := await _refusal(client, endpoint)) is not None:
            if time.monotonic() > deadline:
                raise StackError(
                    f"no token from {endpoint.base_url} within {timeout_s:g} s: {refusal}"
                )
            await asyncio.sleep(RETRY_S)


async def _refusal(client: httpx.AsyncClient, endpoint: Endpoint) -> str | None:
    """Asks once: None when a token came, else why not. Raises StackError where no retry helps."""
    # Not a chat: a model without a chat template is served too.
    url = f"{endpoint.base_url}/completions"
    body = {"model": endpoint.model, "prompt": GREETING, "max_tokens": 8, "stream": True}
    try:
        async with client.stream("POST", url, json=body) as response:
            if response.is_success:
                return await _why_silent(response)
            await response.aread()
    except httpx.HTTPError as error:
        return repr(error)
    refusal = f"HTTP {response.status_code} {' '.join(response.text.split())}"
    if response.is_client_error:
        raise StackError(f"the gateway at {endpoint.base_url} refuses a first request: {refusal}")
    return refusal


async def _why_silent(response: httpx.Response) -> str | None:
    async for line in response.aiter_lines():
        piece = piece_of(line)
        if piece is None:
            break
        if piece:
            return None
    return "an answer without a token"

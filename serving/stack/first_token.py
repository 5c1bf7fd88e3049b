"""The proof that a stack is up: a token that came all the way through the gateway."""

import asyncio
import time
from dataclasses import dataclass

import httpx

from serving.stack.endpoint import GREETING, Endpoint, piece_of
from serving.stack.errors import StackError

RETRY_S = 0.1
UNKNOWN_S = 10.0  # for a key that was just made to reach the gateway
OF_POLICY = (401, 403, 429)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there was no token; `status` is 0 when there was no answer either."""

    reason: str
    status: int = 0

    def is_policy(self, waited_s: float) -> bool:
        """Whether the key is refused as keys are: it is revoked, or its limits are used up."""
        is_unknown = self.status == OF_POLICY[0]
        return self.status in OF_POLICY and (waited_s > UNKNOWN_S or not is_unknown)


async def first_token(endpoint: Endpoint, *, timeout_s: float) -> str | None:
    """Returns when the gateway has streamed a token; StackError with its last refusal otherwise.

    A stack whose own key is refused by policy is up all the same: then this returns the reason.
    """
    begun = time.monotonic()
    headers = {"Authorization": f"Bearer {endpoint.api_key}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=timeout_s) as client:
        while (refusal := await _refusal(client, endpoint)) is not None:
            waited_s = time.monotonic() - begun
            if refusal.is_policy(waited_s):
                return refusal.reason
            if waited_s > timeout_s:
                missing = f"no token from {endpoint.base_url} within {timeout_s:g} s"
                raise StackError(f"{missing}: {refusal.reason}")
            await asyncio.sleep(RETRY_S)
    return None


async def _refusal(client: httpx.AsyncClient, endpoint: Endpoint) -> Refusal | None:
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
        return Refusal(repr(error))
    reason = f"HTTP {response.status_code} {' '.join(response.text.split())}"
    if response.is_client_error and response.status_code not in OF_POLICY:
        raise StackError(f"the gateway at {endpoint.base_url} refuses a first request: {reason}")
    return Refusal(reason, response.status_code)


async def _why_silent(response: httpx.Response) -> Refusal | None:
    async for line in response.aiter_lines():
        piece = piece_of(line)
        if piece is None:
            break
        if piece:
            return None
    return Refusal("an answer without a token")

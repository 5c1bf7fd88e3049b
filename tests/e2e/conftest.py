"""The official client of the shared stack."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from openai import AsyncOpenAI


@pytest.fixture(scope="module")
async def client(stack: Any) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        base_url=stack.base_url, api_key=stack.api_key, max_retries=0, timeout=30
    ) as client:
        yield client

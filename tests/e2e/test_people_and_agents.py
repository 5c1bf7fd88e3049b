"""Two terminals: one floods the engine with agent work, the other chats and feels no queue."""

import asyncio
import re
import urllib.request
from typing import Any

from openai import AsyncOpenAI

# More sequences than the engine has places, as long as a person chats beside them.
TASKS, SEQUENCES = 9, 8
AGENT = {"X-Priority": "agent", "X-Session-Id": "flood"}
PERSON = {"X-Priority": "interactive"}
COUNT = [{"role": "user", "content": "Count to 100"}]


async def counted(client: AsyncOpenAI, **more: Any) -> dict[int, str]:
    """The answers to one streamed request, by choice; each must say why it ended."""
    texts: dict[int, str] = {}
    ends: dict[int, str] = {}
    stream = await client.chat.completions.create(
        model="demo", messages=COUNT, temperature=0, max_tokens=160, stream=True, **more
    )
    async for event in stream:
        for choice in event.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
            ends |= {choice.index: choice.finish_reason} if choice.finish_reason else {}
    assert ends == dict.fromkeys(texts, "length")
    return texts


def preemptions(stack: Any) -> float:
    with urllib.request.urlopen(stack.triton_metrics_url) as page:
        text = page.read().decode()
    found = re.findall(r'^conch_preemptions_total{.*model="demo".*} (\S+)$', text, re.MULTILINE)
    return sum(map(float, found))


async def test_a_chat_cuts_in_line_and_the_flood_is_answered_without_a_gap(stack):
    before = preemptions(stack)
    async with AsyncOpenAI(base_url=stack.base_url, api_key=stack.api_key, max_retries=0) as client:
        expected = (await counted(client, extra_headers=AGENT))[0]
        flood = [
            asyncio.create_task(counted(client, n=SEQUENCES, extra_headers=AGENT))
            for _ in range(TASKS)
        ]
        chats = 0
        while not any(task.done() for task in flood):
            said = await client.chat.completions.with_raw_response.create(
                model="demo",
                messages=[{"role": "user", "content": "hello"}],
                max_tokens=12,
                extra_headers=PERSON,
            )
            assert said.headers["x-conch-priority"] == "interactive"
            assert said.parse().choices[0].message.content
            chats += 1
        answers = [text for task in flood for text in (await task).values()]
    assert len(answers) == TASKS * SEQUENCES
    assert chats > 1
    assert preemptions(stack) > before
    # A batch is rounded otherwise than one alone, and may end a line in another way: rarely.
    assert sum(answer == expected for answer in answers) >= len(answers) * 0.9

"""Remember: prompts and answers of the projects that want theirs kept."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import orjson

from gateway.ask import Ask
from gateway.telemetry import Record
from serving.adapters.content_stream import MOST_BYTES, put
from serving.adapters.redis import Redis
from serving.adapters.redis_lane import Lane, lane, unheard
from serving.contract.calls import Call, Chunk
from serving.contract.content import Content
from serving.contract.tools import ToolCallDelta, joined
from serving.contract.usage import UsageEvent
from serving.identity.directory import Directory


@dataclass(slots=True)
class Transcript:
    """The answer to `ask` as it comes. One that grows too long to be kept is dropped."""

    event: UsageEvent
    ask: Ask
    _choices: dict[int, "_Choice"] = field(default_factory=dict)
    _length: int = 0

    def add(self, chunk: Chunk) -> None:
        self._length += len(chunk.text) + len(chunk.reasoning)
        self._length += sum(len(delta.arguments) for delta in chunk.tool_calls)
        if self._length <= MOST_BYTES:
            self._choices.setdefault(chunk.index, _Choice()).add(chunk)

    def content(self) -> Content | None:
        if self._length > MOST_BYTES:
            return None
        answer = [{"index": i, **choice.content()} for i, choice in sorted(self._choices.items())]
        prompts = [_prompt(call) for call in self.ask.calls]
        return Content(
            self.event.id,
            self.event.tenant,
            self.event.project,
            self.event.began_at,
            orjson.dumps(prompts[0] if len(prompts) == 1 else prompts),
            orjson.dumps(answer),
        )


@dataclass(slots=True)
class _Choice:
    """What was said in one choice."""

    texts: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[ToolCallDelta] = field(default_factory=list)

    def add(self, chunk: Chunk) -> None:
        self.texts.append(chunk.text)
        self.reasoning.append(chunk.reasoning)
        self.calls.extend(chunk.tool_calls)

    def content(self) -> dict[str, object]:
        """Its text, and what else there is."""
        reasoning = "".join(self.reasoning)
        calls = [{"name": c.name, "arguments": c.arguments} for c in joined(self.calls)]
        more = {"reasoning": reasoning, "tool_calls": calls}
        return {"text": "".join(self.texts)} | {k: v for k, v in more.items() if v}


def _prompt(call: Call) -> object:
    return call.messages or call.text or call.input_ids


class Archive:
    """Sends texts off to be stored. It holds nobody up: what Redis does not take is not kept."""

    def __init__(self, to: Lane) -> None:
        self._lane = to

    def transcript(self, directory: Directory, event: UsageEvent, ask: Ask) -> Transcript | None:
        """None where the project keeps no texts."""
        if not directory.privacy_of(event.project).keeps_texts:
            return None
        return Transcript(event, ask)

    def keep(self, transcript: Transcript) -> None:
        content = transcript.content()
        command = None if content is None else put(content)
        if command is not None:
            self._lane.ask(command, is_urgent=False).add_done_callback(unheard)


@contextmanager
def remembered(
    archive: Archive, directory: Directory, event: UsageEvent, ask: Ask, record: Record
) -> Iterator[None]:
    """Keeps what is answered inside the block, also of an answer that broke off."""
    transcript = archive.transcript(directory, event, ask)
    if transcript is None:
        yield
        return
    record.listener = transcript.add
    try:
        yield
    finally:
        archive.keep(transcript)


@asynccontextmanager
async def open_archive(redis: Redis, *, timeout_s: float) -> AsyncIterator[Archive]:
    """On a connection of its own: long texts do not stand in the way of quotas."""
    async with lane(redis, timeout_s=timeout_s) as own:
        try:
            yield Archive(own)
        finally:
            await own.drain()

"""An answer that is sent whole: the chunks of each choice put together."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from gateway.tally import Tally
from serving.contract.calls import Chunk, FinishReason, TokenLogprob
from serving.contract.tools import ToolCallDelta


@dataclass(slots=True)
class Choice:
    """One sequence in the making."""

    index: int
    texts: list[str] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    call_pieces: list[ToolCallDelta] = field(default_factory=list)
    finish_reason: FinishReason | None = None

    def add(self, chunk: Chunk) -> None:
        self.texts.append(chunk.text)
        self.logprobs.extend(chunk.logprobs)
        self.thoughts.append(chunk.reasoning)
        self.call_pieces.extend(chunk.tool_calls)
        self.finish_reason = chunk.finish_reason or self.finish_reason

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def reasoning(self) -> str:
        return "".join(self.thoughts)


async def gather(chunks: AsyncIterator[Chunk]) -> list[Choice]:
    """Every choice, in order."""
    choices: dict[int, Choice] = {}
    async for chunk in chunks:
        choices.setdefault(chunk.index, Choice(chunk.index)).add(chunk)
    return [choices[index] for index in sorted(choices)]


def usage_object(tally: Tally) -> dict[str, object]:
    """OpenAI's `usage`."""
    usage: dict[str, object] = {
        "prompt_tokens": tally.prompt_tokens,
        "completion_tokens": tally.completion_tokens,
        "total_tokens": tally.prompt_tokens + tally.completion_tokens,
    }
    if tally.cached_tokens is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": tally.cached_tokens}
    return usage

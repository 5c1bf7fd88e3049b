"""Chunks to Triton responses: as they come, or whole; FINAL exactly once on every path."""

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from serving.contract.calls import Call, Chunk
from serving.contract.errors import ConchError
from serving.contract.tools import joined
from serving.contract.wire import encode_chunk


class Sink(Protocol):
    """The response side of a Triton request."""

    def send(self, arrays: dict[str, Any], *, is_final: bool) -> None: ...
    def finish(self) -> None: ...
    def fail(self, error: ConchError) -> None: ...


@dataclass(slots=True)
class Responder:
    """Sends the chunks of one call. FINAL travels with the last chunk of its last sequence.

    Of an answer that is sent whole, what it has used so far comes before, without any text.
    """

    sink: Sink
    call: Call
    _left: int = 0
    _whole: dict[int, Chunk] = field(default_factory=dict)
    _is_final_sent: bool = False

    def __post_init__(self) -> None:
        self._left = self.call.n

    def ends_with(self, chunk: Chunk) -> bool:
        """Whether `chunk` is the last of the last sequence."""
        return chunk.finish_reason is not None and self._left == 1

    def emit(self, chunk: Chunk) -> None:
        if chunk.is_notice:
            self.sink.send(encode_chunk(chunk, self.call), is_final=False)
            return
        is_last = chunk.finish_reason is not None
        self._left -= is_last
        if not self.call.is_streamed:
            chunk = self._joined(chunk)
        if self.call.is_streamed or is_last:
            is_final = self._left == 0
            self.sink.send(encode_chunk(chunk, self.call), is_final=is_final)
            self._is_final_sent = is_final
        elif chunk.usage is not None:
            so_far = Chunk(chunk.index, usage=chunk.usage)
            self.sink.send(encode_chunk(so_far, self.call), is_final=False)

    def finish(self, error: ConchError | None = None) -> None:
        """End the response, whatever has been sent. A second end is ignored."""
        if self._is_final_sent:
            return
        self._is_final_sent = True
        if error is None:
            self.sink.finish()
        else:
            self.sink.fail(error)

    def _joined(self, chunk: Chunk) -> Chunk:
        before = self._whole.get(chunk.index)
        if before is not None:
            chunk = replace(
                chunk,
                text=before.text + chunk.text,
                logprobs=before.logprobs + chunk.logprobs,
                reasoning=before.reasoning + chunk.reasoning,
                tool_calls=joined(before.tool_calls + chunk.tool_calls),
                verdicts=before.verdicts + chunk.verdicts,
            )
        self._whole[chunk.index] = chunk
        return chunk

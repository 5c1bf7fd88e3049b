"""What a caller asks of a model and what comes back, independent of any wire."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from serving.contract.guardrails import Verdict
from serving.contract.tools import Choice, Tool, ToolCallDelta

Message = Mapping[str, Any]


class FinishReason(StrEnum):
    """Why a sequence ended; the words of the OpenAI API where it has one."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"  # it stopped, and has made a whole call or more
    CONTENT_FILTER = "content_filter"  # a guardrail ended it
    CANCELLED = "cancelled"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. None means the engine's default."""

    max_tokens: int | None = None
    min_tokens: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    end_id: int | None = None
    stop: tuple[str, ...] = ()
    bad_words: tuple[str, ...] = ()


class SequenceState(StrEnum):
    """Where a sequence that has not ended stands, told when it changes."""

    RUNNING = "running"
    WAITING = "waiting"  # preempted: it goes on when its turn comes
    PAUSED = "paused"  # by an operator, until it is resumed


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for what, in milliseconds; None: as the model server is set.

    `total_ms` and `idle_ms` (between two tokens) do not count while it is preempted or paused.
    """

    total_ms: int | None = None
    ttft_ms: int | None = None
    idle_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Guide:
    """A grammar the answer must follow; `kind` is json, json_schema, regex or ebnf_grammar."""

    kind: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a model. Exactly one of `text`, `input_ids` and `messages` is set.

    `adapter` is the name of a LoRA adapter of the model; None: the model as it is. `grant` is a
    signed statement of what it may do; None: no more than anybody. `priority` is the class it asks
    for; None: standard. `session` ties the calls of one conversation or agent run together.
    `tools` are those that the model may call, and `tool_choice` whether; None: as it likes.
    `guardrails` is the policy that the grant names, where it is not one that every model knows.
    """

    text: str | None = None
    input_ids: tuple[int, ...] | None = None
    messages: tuple[Message, ...] | None = None
    sampling: Sampling = field(default_factory=Sampling)
    guide: Guide | None = None
    tools: tuple[Tool, ...] | None = None
    tool_choice: Choice | None = None
    adapter: str | None = None
    n: int = 1
    deadline_ms: int | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    priority: str | None = None
    session: str | None = None
    is_streamed: bool = False
    is_echoed: bool = False
    has_logprobs: bool = False
    has_engine_times: bool = False
    has_token_counts: bool = False
    grant: str | None = field(default=None, repr=False)
    guardrails: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A generated token: its id, its bytes and the natural log of its probability."""

    token_id: int
    data: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one sequence; `cached_tokens` of the prompt came from the prefix cache."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one sequence went, in milliseconds."""

    queue_ms: float
    prefill_ms: float
    decode_ms: float


@dataclass(frozen=True, slots=True)
class EngineTimes:
    """Nanoseconds on the engine's clock; only differences mean anything."""

    arrival_ns: int
    first_scheduled_ns: int
    first_token_ns: int
    last_token_ns: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an answer. A sequence's last has all the fields from `finish_reason` on.

    With a grant some before it have `usage` too: what the sequence has used so far, or `state`:
    that it waits again, or goes on, or `verdicts`: what guardrails found since the last. They may
    have no text. `reasoning` is what the model thinks before it answers; it and the text of calls
    are no part of `text`.
    """

    index: int = 0
    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    timings: Timings | None = None
    engine_times: EngineTimes | None = None
    cum_logprob: float | None = None
    state: SequenceState | None = None
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    @property
    def is_notice(self) -> bool:
        """Whether it only tells of a state or of verdicts, and has nothing of the answer."""
        return (self.state is not None or bool(self.verdicts)) and not (
            self.text
            or self.reasoning
            or self.tool_calls
            or self.logprobs
            or self.finish_reason is not None
        )

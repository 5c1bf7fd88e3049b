"""What a caller asks of a model and what comes back, independent of any wire."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Message = Mapping[str, Any]


class FinishReason(StrEnum):
    """Why a sequence ended; the words of the OpenAI API where it has one."""

    STOP = "stop"
    LENGTH = "length"
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


@dataclass(frozen=True, slots=True)
class Guide:
    """A grammar the answer must follow; `kind` is json, json_schema, regex or ebnf_grammar."""

    kind: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a model. Exactly one of `text`, `input_ids` and `messages` is set.

    `adapter` is the name of a LoRA adapter of the model; None: the model as it is. `grant` is a
    signed statement of what it may do; None: no more than anybody.
    """

    text: str | None = None
    input_ids: tuple[int, ...] | None = None
    messages: tuple[Message, ...] | None = None
    sampling: Sampling = field(default_factory=Sampling)
    guide: Guide | None = None
    adapter: str | None = None
    n: int = 1
    deadline_ms: int | None = None
    is_streamed: bool = False
    is_echoed: bool = False
    has_logprobs: bool = False
    has_engine_times: bool = False
    has_token_counts: bool = False
    grant: str | None = field(default=None, repr=False)


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

    With a grant some before it have `usage` too: what the sequence has used so far. They may have
    no text.
    """

    index: int = 0
    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    timings: Timings | None = None
    engine_times: EngineTimes | None = None
    cum_logprob: float | None = None

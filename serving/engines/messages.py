"""What the engine's process and Triton's stub tell one another; plain data."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from serving.engines.requests import Capacity, EngineRequest

BLOCK_TOKENS = 32  # of OpenVINO's paged KV cache on the CPU
Key = tuple[int, int, int]  # request, row of its batch, sequence of that row


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Where the model is and how much of the machine it may take.

    `kv_tokens` and `max_num_seqs` are for the base model and its adapters together.
    """

    model_path: Path
    kv_tokens: int
    max_num_seqs: int
    max_num_batched_tokens: int
    threads: int | None = None
    lora_max_adapters: int = 6
    lora_max_rank: int = 64

    @property
    def kv_blocks(self) -> int:
        return self.kv_tokens // BLOCK_TOKENS


class Failure(StrEnum):
    """Why a sequence ended with an error: whose words they are, and for whom."""

    STEP = "step"  # the library's, for the log
    LORA = "lora"  # TensorRT-LLM's words about its LoRA cache, for the client as they are
    UNFIT = "unfit"  # ours about the adapter, for the client


@dataclass(slots=True)
class Update:
    """New tokens of one sequence since the last update. Times are of `time.monotonic_ns`."""

    key: Key
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    cum_logprob: float = 0.0
    is_first: bool = False
    is_streamed: bool = False
    is_last: bool = False
    error: str | None = None
    failure: Failure = Failure.STEP
    first_scheduled_ns: int = 0
    first_token_ns: int = 0
    last_token_ns: int = 0


@dataclass(frozen=True, slots=True)
class Add:
    """Start every sequence of `requests`, the rows of one Triton request."""

    key: int
    requests: tuple[EngineRequest, ...]


@dataclass(frozen=True, slots=True)
class Cancel:
    """End every sequence of a request; an unknown one is ignored."""

    key: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is loaded; what it holds at most."""

    capacity: Capacity


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """The model could not be loaded."""

    reason: str


@dataclass(frozen=True, slots=True)
class LoraNews:
    """How many adapters are resident, and what came and went since the last message."""

    resident: int = 0
    load_s: tuple[float, ...] = ()
    evictions: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """What the steps since the last message made, and the state of the batch."""

    updates: list[Update]
    running: int
    waiting: int
    lora: LoraNews = LoraNews()

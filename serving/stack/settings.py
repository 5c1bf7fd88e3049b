"""What an operator can set about the stack and its Triton."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from serving.settings.base import Count, Port, Seconds, Settings

DEMO = "demo"
ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Address = Annotated[str, Field(pattern=r"^[^/\s]+:\d+$")]
Whole = Annotated[int, Field(ge=0)]
_PAIR = r"[a-z0-9][a-z0-9_-]*=\d+(\.\d+)?"
Pairs = Annotated[str, Field(pattern=rf"^{_PAIR}(,{_PAIR})*$")]


class StackSettings(Settings):
    """The supervisor. Relative paths are relative to the working directory."""

    model_config = SettingsConfigDict(env_prefix="CONCH_")

    var: Path = Field(Path("var"), description="Everything Conch writes is below this folder.")
    model_repository: Path = Field(
        Path("model_repository"),
        description="The models Triton serves; those in CONCH_VAR/models are served too.",
    )
    model_path: Path | None = Field(
        None,
        description="An OpenVINO folder or GGUF file to serve instead of the demo (`--model`).",
    )
    model_name: ModelName | None = Field(
        None,
        description="What clients call the model (`--name`): demo, or after CONCH_MODEL_PATH.",
    )
    start_timeout_s: Seconds = Field(120.0, description="How long a part may take to come up.")
    stop_s: Seconds = Field(
        4.0, description="How long everything may take to end before it is killed."
    )
    health_interval_s: Seconds = Field(
        1.0, description="How often each part is asked for its health."
    )
    health_timeout_s: Seconds = Field(3.0, description="How long it may take to answer.")
    health_failures: Count = Field(
        3, description="Answers in a row that may fail before it is started again."
    )
    log_max_mb: Count = Field(16, description="A log file larger than this is moved aside.")

    @property
    def served_name(self) -> str:
        """The base model that clients get by default: as named, or after the file it comes from."""
        if self.model_name is not None:
            return self.model_name
        return DEMO if self.model_path is None else name_after(self.model_path)


def name_after(path: Path) -> str:
    """A name that Triton and every shell take, out of the name of a model's folder or file."""
    return re.sub(r"[^a-z0-9]+", "-", path.resolve().stem.lower()).strip("-")[:63] or "model"


class TritonSettings(Settings):
    """Triton. With `url` (host:port of its gRPC) a running one is used and none is started."""

    model_config = SettingsConfigDict(env_prefix="TRITON_")

    url: Address | None = Field(
        None, description="host:port of the gRPC of a running Triton: none is started then."
    )
    host: str = Field(
        "127.0.0.1", min_length=1, description="The address the embedded Triton listens on."
    )
    http_port: Port = Field(8000, description="Its port for HTTP.")
    grpc_port: Port = Field(8001, description="Its port for gRPC.")
    metrics_port: Port = Field(8002, description="Its port for metrics.")
    shm_bytes: int = Field(
        4 << 20,
        ge=1 << 20,
        description="Shared memory of each Python model, to begin with and to grow by.",
    )
    stub_timeout_s: Count = Field(60, description="How long a Python model may take to start.")
    exit_timeout_s: Whole = Field(
        3,
        description="How long its requests may take to finish when it stops; CONCH_STOP_S is "
        "above it.",
    )
    max_inflight: Count | None = Field(
        None,
        description="Sequences of a model that are in its engine at a time; without it, what the "
        "model's config says, or 64.",
    )
    max_inflight_tokens: Count | None = Field(
        None,
        description="Tokens of prompt and answer that they may come to hold there; without it, "
        "what the model's config says, or as many as there are.",
    )
    max_waiting: Count | None = Field(
        None,
        description="Sequences of each class that wait for a place in the engine at most; without "
        "it, what the model's config says, or 1024.",
    )
    scheduling: Literal["fifo", "priority", "preempt"] | None = Field(
        None,
        description="In which order they get one: by arrival, by class and tenant, or so that "
        "interactive requests stop others; without it, what the model's config says, or preempt.",
    )
    class_floors: Pairs | None = Field(
        None,
        description="Places that only one class gets, as interactive=2,agent=1; others have none.",
    )
    class_shares: Pairs | None = Field(
        None,
        description="Places that a class has at most, as agent=32,batch=8; others may have all.",
    )
    queue_timeouts_s: Pairs | None = Field(
        None,
        description="How long a class waits for its turn at most; without it interactive=60,"
        "standard=300,agent=1800,batch=86400.",
    )
    tenant_weights: Pairs | None = Field(
        None,
        description="How many tokens tenants get for each one of the others, as acme=3,lab=0.5.",
    )
    unresumable_percent: Count | None = Field(
        None,
        description="Share of the places for agent and batch requests that cannot be stopped and "
        "go on later; without it 50.",
    )
    aging_s: Count | None = Field(
        None,
        description="Who waits this long for each class above its own gets one place in eight; "
        "without it 30.",
    )
    min_run_ms: Count | None = Field(
        None, description="Nobody is stopped for others sooner than this; without it 100."
    )
    program_idle_s: Count | None = Field(
        None,
        description="How long an agent run keeps its turn and its prefix between two calls; "
        "without it 30.",
    )
    max_paused_s: Count | None = Field(
        None, description="How long a request may be paused or preempted; without it 3600."
    )
    timeout_s: Count | None = Field(
        None,
        description="How long a request may take in all, where it does not say; without it 86400.",
    )
    ttft_timeout_s: Count | None = Field(
        None,
        description="How long its first token may take, where it does not say; without it 86400.",
    )
    idle_timeout_s: Count | None = Field(
        None,
        description="How long it may go without a token in the engine, where it does not say; "
        "without it 60.",
    )
    max_timeout_s: Count | None = Field(
        None, description="The most that a request can ask for in all; without it 86400."
    )
    max_ttft_timeout_s: Count | None = Field(
        None, description="The most that it can ask for until the first token; without it 86400."
    )
    max_idle_timeout_s: Count | None = Field(
        None, description="The most that it can ask for between two tokens; without it 600."
    )
    engine_hung_after_s: Count | None = Field(
        None,
        description="An engine that gives nobody a token for so long fails those in it; without "
        "it 90.",
    )
    adapter_wait_ms: Count | None = Field(
        None,
        description="How long a request waits for room for its adapter; without it, what the "
        "model's config says, or 2000.",
    )
    log_verbose: Whole = Field(0, description="0 to 2 and more: what it logs about each request.")


class WorkerSettings(Settings):
    """How many processes the gateway has; its other settings are its own (`gateway.settings`)."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that share its port; worker n has its metrics n ports higher.",
    )

"""What the models of a Triton are told by the environment it was started in."""

OWN_GRPC = "CONCH_TRITON_GRPC"
"""host:port of the gRPC of their own Triton, where it is not the usual one."""

QUEUE_PARAMETERS = (
    "max_inflight",
    "max_inflight_tokens",
    "max_waiting",
    "adapter_wait_ms",
    "scheduling",
    "class_floors",
    "class_shares",
    "queue_timeouts_s",
    "tenant_weights",
    "unresumable_percent",
    "aging_s",
    "min_run_ms",
    "program_idle_s",
    "max_paused_s",
    "timeout_s",
    "ttft_timeout_s",
    "idle_timeout_s",
    "max_timeout_s",
    "max_ttft_timeout_s",
    "max_idle_timeout_s",
    "engine_hung_after_s",
)
"""Of every BLS model: `TRITON_<NAME>` in the environment wins over the parameter in its config."""

OWN_ADAPTERS = "CONCH_ADAPTERS"
"""The folder for adapters that are added while it runs, one folder a base model in it."""

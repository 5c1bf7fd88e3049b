"""What the models of a Triton are told by the environment it was started in."""

OWN_GRPC = "CONCH_TRITON_GRPC"
"""host:port of the gRPC of their own Triton, where it is not the usual one."""

QUEUE_PARAMETERS = ("max_inflight", "max_waiting", "adapter_wait_ms")
"""Of every BLS model: `TRITON_<NAME>` in the environment wins over the parameter in its config."""

OWN_ADAPTERS = "CONCH_ADAPTERS"
"""The folder for adapters that are added while it runs, one folder a base model in it."""

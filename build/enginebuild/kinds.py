"""The engine kinds: what each is, and what of it was run on a machine without an NVIDIA GPU."""

from dataclasses import dataclass

from enginebuild.recipe import Engine

_CONTAINER = "runs in NVIDIA's container on an NVIDIA GPU only"


@dataclass(frozen=True, slots=True)
class EngineKind:
    """`ran` was watched; `not_run` was not, and says why."""

    what: str
    adapters: str
    ran: str
    not_run: str


KINDS: dict[Engine, EngineKind] = {
    "openvino": EngineKind(
        what="OpenVINO GenAI on the CPU, in Conch's own step loop",
        adapters="one pipeline a resident adapter; they share KV blocks, no batch",
        ran="everything: convert, verify, publish, serve, adapters",
        not_run="",
    ),
    "trtllm": EngineKind(
        what="TensorRT-LLM 1.2.1's engine path: trtllm-build and NVIDIA's C++ backend (frozen)",
        adapters="share one batch; modules and rank are fixed when the engine is built",
        ran="the plan: commands, Dockerfile, sizes; config.pbtxt against NVIDIA's table of tensors",
        not_run=f"convert, compile, verify, serve: {_CONTAINER}",
    ),
    "trtllm-llmapi": EngineKind(
        what="tensorrt_llm.LLM (PyTorch runtime) behind the same tensors, in a Python model",
        adapters="share one batch; loaded by task id",
        ran="the plan, and the model's code against a stand-in for tensorrt_llm",
        not_run=f"the checkpoint on the real runtime, verify, serve: {_CONTAINER}",
    ),
}


def table() -> str:
    """The kinds as a table in Markdown."""
    head = (
        "| engine | what it is | adapters | ran here | did not run here |\n|---|---|---|---|---|\n"
    )
    return head + "".join(
        f"| `{name}` | {kind.what} | {kind.adapters} | {kind.ran} | {kind.not_run or '–'} |\n"
        for name, kind in KINDS.items()
    )

"""A `trtllm-llmapi` engine model on stand-ins for Triton's stub and for TensorRT-LLM."""

import json
import sys
from contextlib import contextmanager
from importlib import import_module

import numpy as np
from tensorrt_llm_stand_in import VOCABULARY, modules
from triton_stand_in import Asked, backend_module

from serving.contract.tensors import ENGINE_INPUTS
from serving.lora.modules import Module
from serving.lora.shape import ModelShape
from serving.lora.weights import LoraLayer, encode

CONTEXT = 100
SHAPE = ModelShape(layers=1, hidden=8, intermediate=16, heads=2, kv_heads=1, head_dim=4)
CONFIG = {
    "max_position_embeddings": CONTEXT,
    "vocab_size": VOCABULARY,
    "num_hidden_layers": SHAPE.layers,
    "hidden_size": SHAPE.hidden,
    "intermediate_size": SHAPE.intermediate,
    "num_attention_heads": SHAPE.heads,
    "num_key_value_heads": SHAPE.kv_heads,
    "head_dim": SHAPE.head_dim,
}
NUMPY = {"INT32": np.int32, "FP32": np.float32, "BOOL": np.bool_, "UINT64": np.uint64}
NUMPY |= {"STRING": np.object_}
# Modules that import one of those that are stood in for, however far away.
IMPORTERS = (
    "serving.adapters.python_backend",
    "serving.engines.llmapi",
    "serving.engines.lora_metrics",
    "serving.engines.open_requests",
)
TABLE = {tensor.name: tensor for tensor in ENGINE_INPUTS}


def tensor(name, value):
    """`value` as the model sees it: scalars without the dimension that the client sends."""
    if isinstance(value, np.ndarray):
        return value
    dtype = NUMPY[TABLE[name].dtype]
    return np.array([value], dtype) if TABLE[name].is_scalar else np.array([[value]], dtype)


def arrays(**tensors):
    """Two prompt tokens, three more wanted, and `tensors`. Answered with 11, 12, 13."""
    given = {
        "input_ids": np.array([[5, 6]], np.int32),
        "input_lengths": np.array([2], np.int32),
        "request_output_len": np.array([3], np.int32),
    }
    return given | {name: tensor(name, value) for name, value in tensors.items()}


def adapter(task_id, shift, *, rank=2, columns=3):
    """The tensors of an adapter that moves every token by `shift`."""
    a = np.full((rank, SHAPE.hidden), shift, np.float32)
    layer = LoraLayer(Module.ATTN_Q, 0, a, np.ones((8, rank), np.float32))
    tensors = encode([layer], columns=columns)
    return {
        "lora_task_id": task_id,
        "lora_weights": tensors.weights[None],
        "lora_config": tensors.config[None],
    }


class Engine:
    """The model, the LLM below it, and its log."""

    def __init__(self, model, log, built):
        self.model, self.log, self._built = model, log, built

    @property
    def llm(self):
        return self._built[-1]

    def ask(self, request_id="", **tensors):
        asked = Asked(arrays(**tensors), request_id)
        self.model.execute([asked])
        return asked


@contextmanager
def standing_in(found):
    """The modules of `found` in the place of what they are named as, for the block.

    What imports them is imported anew in it, and gone after it.
    """

    def concerned():
        return [name for name in sys.modules if name in found or name.startswith(IMPORTERS)]

    kept = {name: sys.modules.pop(name) for name in concerned()}
    sys.modules.update(found)
    try:
        yield
    finally:
        for name in concerned():
            del sys.modules[name]
        sys.modules.update(kept)


@contextmanager
def loaded(folder, version="1.2.1", checkpoint=CONFIG, **parameters):
    """An engine model of the checkpoint in `folder`, loaded, and unloaded at the end."""
    log = []
    found, built = modules(version)
    with standing_in(found | {"triton_python_backend_utils": backend_module(log)}):
        model = import_module("serving.engines.llmapi_backend").LlmApiModel()
        model.initialize(arguments(folder, checkpoint, parameters))
        try:
            yield Engine(model, log, built)
        finally:
            model.finalize()


def arguments(folder, checkpoint, parameters):
    (folder / "1" / "model").mkdir(parents=True)
    if checkpoint is not None:
        (folder / "1" / "model" / "config.json").write_text(json.dumps(checkpoint))
    strings = {key: {"string_value": str(value)} for key, value in parameters.items()}
    config = {"name": "demo_engine", "parameters": strings}
    return {
        "model_config": json.dumps(config),
        "model_repository": str(folder),
        "model_version": "1",
    }

"""How large a TensorRT-LLM build is on each GPU: estimates, from the model's shape and the recipe.

The engine's own numbers come out when it loads; these tell beforehand whether it can.
"""

from dataclasses import dataclass

from enginebuild.errors import BuildError
from enginebuild.recipe import Lora, Recipe, Shape
from serving.lora.modules import Module
from serving.lora.shape import ModelShape

GIB, MIB = 1 << 30, 1 << 20
RUNTIME_BYTES = 2 * GIB  # CUDA's context, TensorRT's and NCCL's buffers: what 80-GB cards show
_WEIGHT_BITS = {"as-is": 16, "fp16": 16, "int8": 8, "int4": 4, "fp8": 8}
_HOST_COPIES = 4  # of all adapters that fit the GPU: those that come back need no resending
_LEAST_HOST_BYTES = GIB


@dataclass(frozen=True, slots=True)
class LoraSizes:
    """Of the adapter caches. `adapter_bytes` is of the largest adapter, whole."""

    modules: tuple[Module, ...]
    adapter_bytes: int
    host_bytes: int
    gpu_bytes: int
    gpu_fraction: float


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes on each GPU, of which there are `tensor_parallelism`."""

    weights: int
    activations: int
    free: int
    kv_bytes_per_token: int
    kv_cache: int
    kv_tokens: int
    lora: LoraSizes | None


def sizes(recipe: Recipe, shape: Shape, context_tokens: int) -> Sizes:
    """Raises BuildError, with the numbers, for what would not fit."""
    parallel, gpu = recipe.tensor_parallelism, recipe.gpu
    weights = weight_bytes(shape, recipe.precision) // parallel
    activations = activation_bytes(shape, gpu.max_num_tokens, parallel)
    free = int(gpu.memory_gib * GIB) - RUNTIME_BYTES - weights - activations
    if free <= 0:
        raise BuildError(
            f"gpu.memory_gib = {gpu.memory_gib:g}: the weights take {_gib(weights)} a GPU and "
            f"activations {_gib(activations)}; raise tensor_parallelism or lower the precision"
        )
    per_token = kv_bytes_per_token(shape, recipe)
    cache = int(free * gpu.kv_fraction)
    if cache // per_token < context_tokens:
        raise BuildError(
            f"context_length = {context_tokens}: the KV cache holds {cache // per_token} tokens "
            f"({_gib(cache)} at {per_token} bytes a token)"
        )
    lora = None if recipe.lora is None else _lora(recipe.lora, shape, parallel, free - cache)
    return Sizes(weights, activations, free, per_token, cache, cache // per_token, lora)


def weight_bytes(shape: Shape, precision: str) -> int:
    """Of all GPUs. Embedding and output stay 16 bits; norms and biases are too small to count."""
    query, key = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    layer = 2 * shape.hidden * (query + key) + 3 * shape.hidden * shape.intermediate
    return layer * shape.layers * _WEIGHT_BITS[precision] // 8 + 4 * shape.vocab * shape.hidden


def activation_bytes(shape: Shape, max_num_tokens: int, parallel: int) -> int:
    """Of one step's widest point at 16 bits: the residual twice, and both halves of the MLP."""
    return 2 * max_num_tokens * (2 * shape.hidden + 2 * shape.intermediate // parallel)


def kv_bytes_per_token(shape: Shape, recipe: Recipe) -> int:
    """On each GPU, which has one KV head at least."""
    heads = -(-shape.kv_heads // recipe.tensor_parallelism)
    return 2 * shape.layers * heads * shape.head_dim * (1 if recipe.precision == "fp8" else 2)


def _lora(lora: Lora, shape: Shape, parallel: int, left: int) -> LoraSizes:
    """`left` is what weights and KV cache leave, of which the GPU's cache is a fraction."""
    modules = lora.engine_modules
    model = ModelShape(
        shape.layers, shape.hidden, shape.intermediate, shape.heads, shape.kv_heads, shape.head_dim
    )
    adapter = 2 * lora.max_rank * shape.layers * sum(sum(model.dims(m)) for m in modules)
    wanted = -(-adapter * lora.max_adapters // parallel)
    if wanted > left:
        raise BuildError(
            f"lora.max_adapters = {lora.max_adapters}: they take {_gib(wanted)} a GPU, and weights "
            f"and KV cache leave {_gib(left)}; lower it, lora.max_rank or gpu.kv_fraction"
        )
    host = max(_LEAST_HOST_BYTES, _HOST_COPIES * adapter * lora.max_adapters)
    fraction = -(-wanted * 100 // left) / 100
    return LoraSizes(modules, adapter, -(-host // MIB) * MIB, wanted, max(0.01, fraction))


def _gib(size: int) -> str:
    return f"{size / GIB:.2f} GiB"

"""The tables of a plan: each number of a TensorRT-LLM build with the sum it comes from."""

from collections.abc import Iterable, Iterator

from enginebuild.gpu_sizes import GIB, MIB, RUNTIME_BYTES, LoraSizes, Sizes
from enginebuild.recipe import Lora, Recipe, Shape

Row = tuple[str, str, str]


def markdown(rows: Iterable[Row]) -> str:
    lines = (f"| {what} | {size} | {origin} |" for what, size, origin in rows)
    return "\n".join(["| what | size | from |", "|---|---|---|", *lines])


def memory(recipe: Recipe, shape: Shape, sizes: Sizes) -> Iterator[Row]:
    """Of one GPU, down to what is left for the KV cache."""
    gpu, parallel = recipe.gpu, recipe.tensor_parallelism
    query, key = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    layer = f"2·{shape.hidden}·({query} + {key}) + 3·{shape.hidden}·{shape.intermediate}"
    vocabulary = f"2·{shape.vocab}·{shape.hidden} at 16 bits"
    weights = f"({shape.layers} × [{layer}] at {recipe.precision} + {vocabulary}) / {parallel}"
    width = f"2·{shape.hidden} + 2·{shape.intermediate}/{parallel}"
    step = f"{gpu.max_num_tokens} tokens × ({width}) × 2 bytes"
    left = f"{gpu.memory_gib:g} GiB − weights − activations − runtime"
    yield "weights", _gib(sizes.weights), weights
    yield "activations", _gib(sizes.activations), step
    yield "runtime", _gib(RUNTIME_BYTES), "CUDA, TensorRT, NCCL"
    yield "left", _gib(sizes.free), left


def kv_cache(recipe: Recipe, shape: Shape, sizes: Sizes, context_tokens: int) -> Iterator[Row]:
    heads = -(-shape.kv_heads // recipe.tensor_parallelism)
    width = 1 if recipe.precision == "fp8" else 2
    token = f"2 × {shape.layers} layers × {heads} heads × {shape.head_dim} × {width} bytes"
    whole = f"{sizes.kv_tokens // context_tokens} sequences of {context_tokens} tokens"
    step = f"{recipe.max_batch} sequences that generate, the rest is context in chunks"
    yield "KV cache", _gib(sizes.kv_cache), f"{recipe.gpu.kv_fraction:g} of what is left"
    yield "KV bytes a token", f"{sizes.kv_bytes_per_token}", token
    yield "KV tokens", f"{sizes.kv_tokens}", f"{whole}; max_batch is {recipe.max_batch}"
    yield "max_num_tokens", f"{recipe.gpu.max_num_tokens}", f"of one step: up to {step}"


def adapters(recipe: Recipe, shape: Shape, lora: Lora, sizes: LoraSizes) -> Iterator[Row]:
    modules = ", ".join(module.engine_name for module in sizes.modules)
    factors = f"2 bytes × rank {lora.max_rank} × {shape.layers} layers"
    share = f"lora_cache_gpu_memory_fraction {sizes.gpu_fraction:g} of what is left then"
    dora = "the last says DoRA" if lora.config_columns == 4 else "no DoRA; 4 would take it"
    yield (
        "largest adapter",
        f"{sizes.adapter_bytes / MIB:.0f} MiB",
        f"{factors} × (inputs + outputs) of {modules}",
    )
    yield (
        "on the GPU",
        _gib(sizes.gpu_bytes),
        f"{lora.max_adapters} of them / {recipe.tensor_parallelism}: {share}",
    )
    host = "4 × as many, at least 1 GiB: lora_cache_host_memory_bytes"
    yield "in host memory", _gib(sizes.host_bytes), host
    yield "lora_config", f"{lora.config_columns} columns", dora


def _gib(size: int) -> str:
    return f"{size / GIB:.2f} GiB"

"""The Triton models of a TensorRT-LLM build: NVIDIA's parameters, sized from the recipe."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from enginebuild import repository
from enginebuild.gpu_sizes import Sizes
from enginebuild.recipe import Recipe
from enginebuild.render import bls_parameters, check_closed, lora_parameters
from enginebuild.repository import Deployment
from serving.contract.engine_kinds import KIND_PARAMETER, EngineKind
from serving.contract.pbtxt import DynamicBatching, ModelEntry, render
from serving.contract.tensors import Tensor

WORKER = "/opt/tritonserver/backends/tensorrtllm/trtllmExecutorWorker"
LLMAPI_CODE = '''\
"""Exports the model; its code is in `serving.engines.llmapi_backend`."""

from serving.engines.llmapi_backend import LlmApiModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
'''


def write(recipe: Recipe, sizes: Sizes, context_tokens: int, folder: Path) -> None:
    """Every entry below `folder`, without what is built: that comes into the engine's `1/`."""
    repository.write(deployment(recipe, sizes, context_tokens), folder)
    for entry in entries(recipe, sizes, context_tokens):
        (folder / entry.name / "config.pbtxt").write_text(render(entry), encoding="utf-8")
    code = folder / f"{recipe.name}_engine" / "1" / "model.py"
    if recipe.engine == "trtllm":
        code.unlink()  # its backend is NVIDIA's, in C++
    else:
        code.write_text(LLMAPI_CODE, encoding="utf-8")
    check_closed(folder)


def entries(recipe: Recipe, sizes: Sizes, context_tokens: int) -> tuple[ModelEntry, ...]:
    engine, *others = repository.entries(deployment(recipe, sizes, context_tokens))
    if recipe.engine == "trtllm":
        engine = replace(engine, backend="tensorrtllm", batching=DynamicBatching(0))
    engine = replace(engine, max_batch_size=recipe.max_batch)
    return tuple(replace(e, inputs=_columns(e, recipe)) for e in (engine, *others))


def deployment(recipe: Recipe, sizes: Sizes, context_tokens: int) -> Deployment:
    """The model's text files lie in the engine's version folder, as for every engine kind."""
    if recipe.engine == "trtllm":
        parameters = _engine_path(recipe)
    else:
        parameters = _llmapi(recipe, context_tokens)
    return Deployment(
        recipe.name,
        f"../../{recipe.name}_engine/1/model",
        parameters | _lora(recipe, sizes),
        bls_parameters(recipe),
    )


def _engine_path(recipe: Recipe) -> dict[str, str]:
    version = f"{recipe.gpu.repository}/{recipe.name}_engine/1"
    return {
        "gpt_model_type": "inflight_fused_batching",
        "gpt_model_path": f"{version}/engine",
        "executor_worker_path": WORKER,
        "max_beam_width": "1",
        "FORCE_CPU_ONLY_INPUT_TENSORS": "no",
        "batch_scheduler_policy": "guaranteed_no_evict",
        "kv_cache_free_gpu_mem_fraction": f"{recipe.gpu.kv_fraction:g}",
        "enable_kv_cache_reuse": "true",
        "enable_chunked_context": "true",
        "exclude_input_in_output": "true",
        "normalize_log_probs": "true",
        "cancellation_check_period_ms": "100",
        "stats_check_period_ms": "100",
        "guided_decoding_backend": "xgrammar",
        "xgrammar_tokenizer_info_path": f"{version}/xgrammar_tokenizer_info.json",
    } | _devices(recipe)


def _devices(recipe: Recipe) -> dict[str, str]:
    if recipe.tensor_parallelism == 1:
        return {}
    return {"gpu_device_ids": ",".join(map(str, range(recipe.tensor_parallelism)))}


def _llmapi(recipe: Recipe, context_tokens: int) -> dict[str, str]:
    return {
        KIND_PARAMETER: EngineKind.TRTLLM_LLMAPI.value,
        "tensor_parallel_size": str(recipe.tensor_parallelism),
        "max_seq_len": str(context_tokens),
        "max_num_sequences": str(recipe.max_batch),
        "max_num_tokens": str(recipe.gpu.max_num_tokens),
        "kv_cache_free_gpu_mem_fraction": f"{recipe.gpu.kv_fraction:g}",
    }


def _lora(recipe: Recipe, sizes: Sizes) -> dict[str, str]:
    """Conch's own keys, and NVIDIA's for the sizes of the caches."""
    own = lora_parameters(recipe)
    if recipe.lora is None or sizes.lora is None or recipe.engine != "trtllm":
        return own
    return own | {
        "lora_cache_optimal_adapter_size": str(recipe.lora.max_rank),
        "lora_cache_max_adapter_size": str(recipe.lora.max_rank),
        "lora_cache_gpu_memory_fraction": f"{sizes.lora.gpu_fraction:g}",
        "lora_cache_host_memory_bytes": str(sizes.lora.host_bytes),
    }


def _columns(entry: ModelEntry, recipe: Recipe) -> tuple[Tensor, ...]:
    columns = 3 if recipe.lora is None else recipe.lora.config_columns
    dims: Mapping[str, tuple[int, ...]] = {"lora_config": (-1, columns)}
    return tuple(replace(t, dims=dims.get(t.name, t.dims)) for t in entry.inputs)

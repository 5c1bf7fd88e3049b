"""TensorRT-LLM's LLM API (1.2, PyTorch runtime) behind plain data; its types stop here.

It needs an NVIDIA GPU and NVIDIA's container. Nothing in this file has run on one: it is tested
against a stand-in with the names and the behaviour that 1.2's sources and documents have.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from serving.contract.calls import Guide
from serving.contract.errors import ConchError, EngineFailed, InvalidRequest
from serving.engines.llmapi_adapters import AdapterFolder
from serving.engines.llmapi_parameters import LlmApiSettings
from serving.engines.llmapi_requests import LlmApiRequest
from serving.engines.llmapi_sampling import end_of_stop, guided, sampling

VERSION = "1.2."
# The default TorchSampler of 1.2 accepts penalties and bad words, and silently ignores them.
SAMPLER = "TRTLLMSampler"
GUIDES = "xgrammar"
MAX_GUIDE_CHARS = 65_536
_MAX_REASON_CHARS = 300


@dataclass(frozen=True, slots=True)
class Step:
    """New tokens of a sequence. `scheduled_ns`, of the monotonic clock, comes where it is known."""

    tokens: list[int]
    logprobs: list[float]
    is_last: bool
    scheduled_ns: int | None = None


class LlmApi:
    """One `tensorrt_llm.LLM`; used in one event loop. Raises ConchError only."""

    def __init__(self, settings: LlmApiSettings) -> None:
        with _our_errors(f"TensorRT-LLM cannot load '{settings.model_path}'"):
            import tensorrt_llm  # type: ignore[import-not-found]

            if not tensorrt_llm.__version__.startswith(VERSION):
                raise EngineFailed(
                    f"this engine is written for TensorRT-LLM {VERSION}x, "
                    f"the container has {tensorrt_llm.__version__}"
                )
            self._llm = tensorrt_llm.LLM(**_arguments(settings))

    async def generate(
        self, request: LlmApiRequest, sequence: int, adapter: AdapterFolder | None
    ) -> AsyncGenerator[Step, None]:
        """The steps of one sequence of `request`. Closing it early ends the sequence."""
        with _our_errors("TensorRT-LLM failed on this request; send it again"):
            result = self._llm.generate_async(
                request.input_ids.tolist(),
                sampling_params=_sampling(request, sequence),
                lora_request=_lora_request(adapter),
                streaming=True,
            )
            made = 0
            try:
                async for _ in result:
                    step = _step(result, request, made)
                    made += len(step.tokens)
                    yield step
                    if step.is_last:
                        return
            finally:
                if not result.finished:
                    result.abort()

    def check(self, guide: Guide) -> None:
        """InvalidRequest when `guide` is no grammar. Blocks for as long as reading it takes."""
        import xgrammar  # type: ignore[import-not-found]

        if len(guide.text) > MAX_GUIDE_CHARS:
            raise InvalidRequest(
                f"the guide has {len(guide.text)} characters, at most {MAX_GUIDE_CHARS} are taken",
                param="guided_decoding_guide",
            )
        try:
            match guide.kind:
                case "json_schema":
                    xgrammar.Grammar.from_json_schema(guide.text)
                case "regex":
                    xgrammar.Grammar.from_regex(guide.text)
                case "ebnf_grammar":
                    xgrammar.Grammar.from_ebnf(guide.text)
        except (RuntimeError, ValueError) as error:
            raise InvalidRequest(
                f"the {guide.kind} guide cannot be compiled: {_short(str(error))}",
                param="guided_decoding_guide",
            ) from error

    def close(self) -> None:
        self._llm.shutdown()


def _arguments(settings: LlmApiSettings) -> dict[str, Any]:
    from tensorrt_llm.llmapi import KvCacheConfig  # type: ignore[import-not-found]

    return {
        "model": str(settings.model_path),
        "tensor_parallel_size": settings.tensor_parallel,
        "max_batch_size": settings.max_sequences,
        "max_num_tokens": settings.max_num_tokens,
        "max_seq_len": settings.capacity.context_tokens,
        "kv_cache_config": KvCacheConfig(
            free_gpu_memory_fraction=settings.kv_share,
            max_tokens=settings.kv_tokens,
            enable_block_reuse=True,
        ),
        "enable_chunked_prefill": True,
        "guided_decoding_backend": GUIDES,
        "sampler_type": SAMPLER,
        "lora_config": _lora_config(settings),
    }


def _lora_config(settings: LlmApiSettings) -> Any:
    from tensorrt_llm.lora_helper import LoraConfig  # type: ignore[import-not-found]

    if settings.max_adapters == 0:
        return None
    return LoraConfig(
        lora_target_modules=sorted(module.engine_name for module in settings.lora.modules),
        max_lora_rank=settings.lora.max_rank,
        max_loras=settings.max_adapters,
        max_cpu_loras=settings.max_adapters,
    )


def _lora_request(adapter: AdapterFolder | None) -> Any:
    from tensorrt_llm.executor import LoRARequest  # type: ignore[import-not-found]

    if adapter is None:
        return None
    return LoRARequest(adapter.name, adapter.number, str(adapter.path))


def _sampling(request: LlmApiRequest, sequence: int) -> Any:
    from tensorrt_llm.llmapi import GuidedDecodingParams, SamplingParams

    guide = None if request.guide is None else GuidedDecodingParams(**guided(request.guide))
    return SamplingParams(
        **sampling(request, sequence), embedding_bias=_bias(request), guided_decoding=guide
    )


def _bias(request: LlmApiRequest) -> Any:
    if request.logit_bias is None:
        return None
    import torch  # type: ignore[import-not-found,unused-ignore]

    return torch.from_numpy(request.logit_bias)


def _step(result: Any, request: LlmApiRequest, made: int) -> Step:
    """What is new since `made` tokens. The result is one object that grows."""
    output = result.outputs[0]
    end = end_of_stop(output.token_ids, request.stop_sequences, made)
    tokens = list(output.token_ids[made:end])
    logprobs = _logprobs(output.logprobs[made:end], tokens) if request.has_logprobs else []
    is_last = end is not None or bool(result.finished)
    return Step(tokens, logprobs, is_last, _scheduled_ns(output) if is_last else None)


def _logprobs(entries: Sequence[Any], tokens: Sequence[int]) -> list[float]:
    """Of the chosen tokens; an entry is the best tokens of its position by id, or one number."""
    return [
        float(entry[token].logprob if isinstance(entry, Mapping) else entry)
        for entry, token in zip(entries, tokens, strict=True)
    ]


def _scheduled_ns(output: Any) -> int | None:
    """When its prefill began, on the clock of `time.monotonic_ns`, as the executor tells it."""
    metrics = getattr(output, "request_perf_metrics", None)
    if metrics is None:
        return None
    return int(metrics.timing_metrics.first_scheduled_time.total_seconds() * 1e9)


def _short(reason: str) -> str:
    """The compiler's last words, without the paths of its sources."""
    return reason.rsplit(".cc:", 1)[-1].split(": ", 1)[-1].strip()[:_MAX_REASON_CHARS]


@contextmanager
def _our_errors(message: str) -> Iterator[None]:
    """Every exception of the library as EngineFailed; its own words are for the log."""
    try:
        yield
    except ConchError:
        raise
    except Exception as error:
        raise EngineFailed(message) from error

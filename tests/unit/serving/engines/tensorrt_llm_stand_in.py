"""What stands in for TensorRT-LLM 1.2, xgrammar and torch where there is no GPU.

Names and fields are those of their sources; tokens are a function of prompt and adapter. An
adapter's folder is read when its number is first used and never again, as the library does.
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from serving.lora import peft

VOCABULARY = 50


class RequestError(RuntimeError):
    """What the library raises while it works on a request."""


@dataclass(kw_only=True)
class GuidedDecodingParams:
    json: Any = None
    regex: str | None = None
    grammar: str | None = None
    json_object: bool = False
    structural_tag: str | None = None


@dataclass(kw_only=True)
class SamplingParams:
    """The fields that Conch may set; an unknown name is a TypeError, as with the library."""

    end_id: int | None = None
    pad_id: int | None = None
    max_tokens: int = 32
    bad: Any = None
    bad_token_ids: list[int] | None = None
    stop: Any = None
    stop_token_ids: list[int] | None = None
    include_stop_str_in_output: bool = False
    embedding_bias: Any = None
    n: int = 1
    best_of: int | None = None
    use_beam_search: bool = False
    top_k: int | None = None
    top_p: float | None = None
    top_p_min: float | None = None
    top_p_reset_ids: int | None = None
    top_p_decay: float | None = None
    seed: int | None = None
    temperature: float | None = None
    min_tokens: int | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: int | None = None
    return_perf_metrics: bool = False
    guided_decoding: GuidedDecodingParams | None = None
    ignore_eos: bool = False
    detokenize: bool = True
    add_special_tokens: bool = True


@dataclass
class KvCacheConfig:
    enable_block_reuse: bool = True
    max_tokens: int | None = None
    free_gpu_memory_fraction: float | None = None


@dataclass
class LoraConfig:
    lora_dir: list[str] = field(default_factory=list)
    lora_ckpt_source: str = "hf"
    max_lora_rank: int = 64
    lora_target_modules: list[str] = field(default_factory=list)
    max_loras: int | None = None
    max_cpu_loras: int | None = None


@dataclass
class LoRARequest:
    lora_name: str
    lora_int_id: int
    lora_path: str = ""

    def __post_init__(self):
        if not Path(self.lora_path).exists():
            raise ValueError(f"lora_path ({self.lora_path}) does not exist.")


class Grammar:
    """Takes every text but one with the word "broken"; the message is of xgrammar's form."""

    @staticmethod
    def _read(text):
        if "broken" in text:
            raise RuntimeError("[15:18:30] /project/cpp/parser.cc:75: Parsing error: it is broken")

    from_json_schema = from_regex = from_ebnf = _read


class Result:
    """One request of the LLM API: an object that grows, and yields itself after each step."""

    def __init__(self, llm, prompt, params, shift):
        self._llm, self._params = llm, params
        self._next = sum(prompt) + shift
        self.finished = False
        self.is_aborted = False
        logprobs = [] if params.logprobs else None
        self.outputs = [SimpleNamespace(index=0, token_ids=[], logprobs=logprobs)]

    async def __aiter__(self):
        while not self.finished:
            await self._llm.step()
            if self._llm.failure is not None:
                raise self._llm.failure
            self._add()
            yield self

    def _add(self):
        output, token = self.outputs[0], self._next % VOCABULARY
        output.token_ids.append(token)
        if output.logprobs is not None:
            logprob = SimpleNamespace(logprob=-token / 100, rank=1)
            output.logprobs.append({token: logprob})
        self._next += 1
        stops = [*(self._params.stop_token_ids or ()), self._params.end_id]
        is_full = len(output.token_ids) == self._params.max_tokens
        self.finished = is_full or token in stops
        output.request_perf_metrics = self._llm.metrics if self.finished else None

    def abort(self):
        self.is_aborted = True


class Llm:
    """`tensorrt_llm.LLM`. A test sets `held` to let no step through, `failure` to raise one.

    `is_ahead`: its tokens are all there before anybody asks.
    """

    def __init__(self, **arguments):
        self.arguments = arguments
        self.shifts = {}
        self.is_shut_down = False
        self.reset()

    def reset(self):
        """As it was before a test."""
        self.calls = []
        self.results = []
        self.held = False
        self.is_ahead = False
        self.failure = None
        self.metrics = None

    async def step(self):
        if not self.is_ahead:
            await asyncio.sleep(0)
        while self.held:
            await asyncio.sleep(0.001)

    def generate_async(self, inputs, sampling_params=None, lora_request=None, streaming=False):
        assert streaming
        self.calls.append((inputs, sampling_params, lora_request))
        result = Result(self, inputs, sampling_params, self._shift(lora_request))
        self.results.append(result)
        return result

    def _shift(self, lora_request):
        if lora_request is None:
            return 0
        number = lora_request.lora_int_id
        if number not in self.shifts:
            (layer, *_) = peft.read(Path(lora_request.lora_path)).layers
            self.shifts[number] = int(layer.a[0, 0])
        return self.shifts[number]

    def shutdown(self):
        self.is_shut_down = True


def modules(version="1.2.1"):
    """The modules by name, and the list of the `Llm`s that were built."""
    built = []

    def build(**arguments):
        if not Path(arguments["model"], "config.json").exists():
            raise ValueError("no such checkpoint, says the library")
        built.append(Llm(**arguments))
        return built[-1]

    llmapi = {
        "SamplingParams": SamplingParams,
        "GuidedDecodingParams": GuidedDecodingParams,
        "KvCacheConfig": KvCacheConfig,
        "RequestError": RequestError,
    }
    found = {
        "tensorrt_llm": {"__version__": version, "LLM": build},
        "tensorrt_llm.llmapi": llmapi,
        "tensorrt_llm.lora_helper": {"LoraConfig": LoraConfig},
        "tensorrt_llm.executor": {"LoRARequest": LoRARequest},
        "xgrammar": {"Grammar": Grammar},
        "torch": {"from_numpy": lambda array: array},
    }
    return {name: _module(name, names) for name, names in found.items()}, built


def _module(name, names):
    module = ModuleType(name)
    module.__dict__.update(names)
    return module

"""A recipe: which model to build, for which engine, how large. A TOML file, read with pydantic."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from enginebuild.errors import BuildError
from serving.lora.modules import HF_NAMES, Module
from serving.text.tools.families import FAMILIES, NONE

# Triton models around a built one have its name and one of these.
SUFFIXES = ("_engine", "_ensemble", "_preprocessing", "_postprocessing")
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_MODULE_OF = {name.rpartition(".")[2]: module for module, name in HF_NAMES.items()}
TOOL_FORMATS = (*(family.name for family in FAMILIES), NONE)
CONTAINER = "26.07-trtllm-python-py3"

Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,47}$")]
ToolFormat = Literal[TOOL_FORMATS]  # type: ignore[valid-type]
Engine = Literal["openvino", "trtllm", "trtllm-llmapi"]
Precision = Literal["as-is", "fp16", "int8", "int4", "fp8"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

PRECISIONS: dict[Engine, tuple[Precision, ...]] = {
    "openvino": ("as-is", "fp16", "int8", "int4"),
    "trtllm": ("as-is", "fp16", "int8", "int4", "fp8"),
    "trtllm-llmapi": ("as-is",),  # it loads the checkpoint directly, quantised ones too
}


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Lora(_Table):
    """What adapters the engine takes; TensorRT-LLM fixes modules and rank when it is built.

    `config_columns`: 4 where adapters may be DoRA, 3 as in NVIDIA's own template.
    """

    max_rank: Annotated[int, Field(ge=1, le=512)] = 16
    max_adapters: Annotated[int, Field(ge=1, le=256)] = 6
    modules: tuple[Literal[MODULES], ...] = MODULES  # type: ignore[valid-type]
    config_columns: Literal[3, 4] = 3

    @property
    def engine_modules(self) -> tuple[Module, ...]:
        """The modules as TensorRT-LLM numbers them, in its order."""
        return tuple(sorted(_MODULE_OF[name] for name in self.modules))


class Golden(_Table):
    """A prompt to answer greedily: exactly with `expect`, or with `contains` in the answer."""

    messages: tuple[dict[str, Any], ...] | None = None
    prompt: str | None = None
    expect: str | None = None
    contains: str | None = None
    max_tokens: Count = 48

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.messages is None) == (self.prompt is None):
            raise ValueError("needs messages or prompt, one of them")
        if (self.expect is None) == (self.contains is None):
            raise ValueError("needs expect or contains, one of them")
        return self

    def is_met_by(self, answer: str) -> bool:
        if self.expect is not None:
            return answer.strip() == self.expect.strip()
        return str(self.contains) in answer


class Shape(_Table):
    """The model's shape, for the sizes of a plan; a source with a config.json says it itself."""

    layers: Count
    hidden: Count
    intermediate: Count
    heads: Count
    kv_heads: Count
    head_dim: Count
    vocab: Count


class Gpu(_Table):
    """What TensorRT-LLM is built for. `family` is the folder of NVIDIA's examples."""

    memory_gib: Annotated[float, Field(gt=0)] = 80.0
    kv_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.85
    max_num_tokens: Count = 8192
    family: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")] = "llama"
    repository: Annotated[str, Field(pattern=r"^/[^\s$]*$")] = "/models"


class Recipe(_Table):
    """`source` is relative to the recipe; `hf:org/name` is fetched from Hugging Face."""

    name: Name
    source: Annotated[str, Field(min_length=1)]
    sha256: Sha256 | None = None
    engine: Engine
    precision: Precision = "as-is"
    tensor_parallelism: Annotated[int, Field(ge=1, le=64)] = 1
    context_length: Count | None = None
    max_batch: Annotated[int, Field(ge=1, le=4096)] = 16
    kv_tokens: Annotated[int, Field(ge=256)] | None = None
    container: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = CONTAINER
    lora: Lora | None = None
    tool_format: ToolFormat | None = None
    shape: Shape | None = None
    gpu: Gpu = Gpu()
    golden: tuple[Golden, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.name.endswith(SUFFIXES):
            raise ValueError(f"name '{self.name}' ends like a part of a model ({SUFFIXES})")
        if self.precision not in PRECISIONS[self.engine]:
            known = ", ".join(PRECISIONS[self.engine])
            raise ValueError(
                f"precision '{self.precision}' is none of engine '{self.engine}': {known}"
            )
        if self.engine == "openvino" and self.tensor_parallelism != 1:
            raise ValueError(f"tensor_parallelism {self.tensor_parallelism}: openvino has 1")
        if self.engine == "trtllm" and self.context_length is None:
            raise ValueError("context_length is needed: trtllm fixes it when it is built")
        return self


def load(path: Path) -> Recipe:
    """Raises BuildError; every key that is wrong is named with its value."""
    try:
        return Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BuildError(f"cannot read the recipe '{path}': {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BuildError(f"'{path}' is not TOML: {error}") from error
    except ValidationError as error:
        told = "; ".join(map(_told, error.errors(include_url=False)))
        raise BuildError(f"recipe '{path}': {told}") from None


def _told(error: ErrorDetails) -> str:
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"there is no key '{key}'"
    if error["type"] == "missing":
        return f"the key '{key}' is missing"
    reason = error["msg"].removeprefix("Value error, ")
    return f"{key} = {error['input']!r}: {reason}" if key and _is_plain(error) else _in(key, reason)


def _is_plain(error: ErrorDetails) -> bool:
    return isinstance(error["input"], str | int | float | bool)


def _in(key: str, reason: str) -> str:
    return f"{key}: {reason}" if key else reason

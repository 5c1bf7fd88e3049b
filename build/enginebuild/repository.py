"""The folders of a Triton model repository for one served model, written from the tensor tables.

`python -m enginebuild.repository model_repository` writes the demo's, which are kept in git.
"""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from serving.contract.engine_kinds import KIND_PARAMETER, EngineKind
from serving.contract.pbtxt import DynamicBatching, EnsembleStep, ModelEntry, render
from serving.contract.tensors import (
    BLS_INPUTS,
    BLS_OUTPUTS,
    EMBEDDING_INPUTS,
    EMBEDDING_OUTPUTS,
    ENGINE_INPUTS,
    ENGINE_OUTPUTS,
    ENSEMBLE_INPUTS,
    ENSEMBLE_OUTPUTS,
    GUARD_INPUTS,
    GUARD_OUTPUTS,
    POSTPROCESSING_INPUTS,
    POSTPROCESSING_OUTPUTS,
    PREPROCESSING_INPUTS,
    PREPROCESSING_OUTPUTS,
)

MAX_BATCH_SIZE = 64
EMBEDDING, GUARD = "embedding", "guard"
_EMBEDDING_EXPORT = "serving.engines.embedding_backend import EmbeddingBackend"
_GUARD_EXPORT = "serving.bls.guard_backend import GuardModel"
OPENVINO = {
    KIND_PARAMETER: EngineKind.OPENVINO.value,
    "max_tokens_in_paged_kv_cache": "32768",
}
LORA_PARAMETERS = ("lora_max_adapters", "lora_max_rank", "lora_target_modules")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")

_EXPORTS = {
    "": "serving.bls.backend import BlsModel",
    "_engine": "serving.engines.backend import EngineModel",
    "_preprocessing": "serving.bls.ensemble_backend import PreprocessingModel",
    "_postprocessing": "serving.bls.ensemble_backend import PostprocessingModel",
}


@dataclass(frozen=True, slots=True)
class Deployment:
    """One model to serve. `model` is absolute, or relative to a version folder."""

    name: str
    model: str
    engine_parameters: dict[str, str] = field(default_factory=dict)
    bls_parameters: dict[str, str] = field(default_factory=dict)


def entries(deployment: Deployment) -> tuple[ModelEntry, ...]:
    """Every Triton model that serves `deployment`, the engine first."""
    name = deployment.name
    language = {"model": deployment.model}
    return (
        ModelEntry(
            f"{name}_engine",
            ENGINE_INPUTS,
            ENGINE_OUTPUTS,
            MAX_BATCH_SIZE,
            is_decoupled=True,
            parameters=language | deployment.engine_parameters,
        ),
        ModelEntry(
            name,
            BLS_INPUTS,
            BLS_OUTPUTS,
            1,
            is_decoupled=True,
            parameters=language
            | {"engine": f"{name}_engine"}
            | _lora(deployment)
            | _room(deployment)
            | deployment.bls_parameters,
        ),
        ModelEntry(
            f"{name}_preprocessing",
            PREPROCESSING_INPUTS,
            PREPROCESSING_OUTPUTS,
            MAX_BATCH_SIZE,
            parameters=language,
        ),
        ModelEntry(
            f"{name}_postprocessing",
            POSTPROCESSING_INPUTS,
            POSTPROCESSING_OUTPUTS,
            MAX_BATCH_SIZE,
            parameters=language,
        ),
        ModelEntry(
            f"{name}_ensemble",
            ENSEMBLE_INPUTS,
            ENSEMBLE_OUTPUTS,
            1,  # rows of a batch would come back in any order, with nothing to tell them apart
            steps=_steps(name),
        ),
    )


def _lora(deployment: Deployment) -> dict[str, str]:
    """What the BLS model has to know of the engine's LoRA cache."""
    given = deployment.engine_parameters
    return {name: given[name] for name in LORA_PARAMETERS if name in given}


def _room(deployment: Deployment) -> dict[str, str]:
    """As many tokens as its engine has room for; one that does not say is never thought full."""
    tokens = deployment.engine_parameters.get("max_tokens_in_paged_kv_cache")
    return {} if tokens is None else {"max_inflight_tokens": tokens}


def write(deployment: Deployment, repository: Path) -> None:
    """Write the folders of `deployment`; files of the same name are replaced.

    Raises ValueError when Triton or a URL could not carry the name.
    """
    if not _NAME.fullmatch(deployment.name):
        raise ValueError(
            f"'{deployment.name}' is no model name: lower-case letters, digits, '.', '_', '-', "
            "at most 63 characters"
        )
    for entry in entries(deployment):
        version = repository / entry.name / "1"
        version.mkdir(parents=True, exist_ok=True)
        (version.parent / "config.pbtxt").write_text(render(entry), encoding="utf-8")
        if not entry.steps:
            code = model_code(entry.name.removeprefix(deployment.name))
            (version / "model.py").write_text(code, encoding="utf-8")
        else:
            # Triton wants a version folder for an ensemble too, and git keeps no empty ones.
            (version / ".keep").touch()


def write_external(name: str, source: Path, repository: Path) -> None:
    """Write the folders that serve an OpenVINO folder or GGUF file where it lies.

    Raises ValueError when `source` is neither.
    """
    is_gguf = source.suffix == ".gguf" and source.is_file()
    if not (is_gguf or (source / "openvino_model.xml").is_file()):
        raise ValueError(f"'{source}' is neither a GGUF file nor a folder with openvino_model.xml")
    write(Deployment(name, str(source.resolve()), OPENVINO), repository)


def model_code(suffix: str) -> str:
    """The model.py of a Triton model by the suffix of its name."""
    return _exporting(_EXPORTS[suffix])


def _exporting(export: str) -> str:
    return (
        f'"""Exports the model; its code is in `{export.split()[0]}`."""\n\n'
        f"from {export} as TritonPythonModel\n\n"
        '__all__ = ["TritonPythonModel"]\n'
    )


def embedding(name: str = EMBEDDING, *, most_delay_us: int = 1000) -> ModelEntry:
    """The model that every base model shares. `most_delay_us` was measured: docs/performance.md."""
    return ModelEntry(
        name,
        EMBEDDING_INPUTS,
        EMBEDDING_OUTPUTS,
        MAX_BATCH_SIZE,
        batching=DynamicBatching(most_delay_us),
    )


def guard(name: str = GUARD) -> ModelEntry:
    """The other model that every base model shares."""
    batching = DynamicBatching(0)
    return ModelEntry(name, GUARD_INPUTS, GUARD_OUTPUTS, MAX_BATCH_SIZE, batching=batching)


def write_embedding(repository: Path, entry: ModelEntry | None = None) -> None:
    """Write the folder of the embedding model, or of another one of its code."""
    _write(repository, entry or embedding(), _EMBEDDING_EXPORT)


def write_guard(repository: Path) -> None:
    """Write the folder of the model `guard`."""
    _write(repository, guard(), _GUARD_EXPORT)


def _write(repository: Path, entry: ModelEntry, export: str) -> None:
    version = repository / entry.name / "1"
    version.mkdir(parents=True, exist_ok=True)
    (version.parent / "config.pbtxt").write_text(render(entry), encoding="utf-8")
    (version / "model.py").write_text(_exporting(export), encoding="utf-8")


def demo() -> Deployment:
    """The demo model that ships with Conch."""
    adapters = {"lora_max_adapters": "6", "lora_max_rank": "64"}
    # It is too small to make sense of marks that it was not taught.
    no_marks = {"spotlight": "off"}
    return Deployment("demo", "../../demo_engine/1/model", OPENVINO | adapters, no_marks)


def _steps(name: str) -> tuple[EnsembleStep, ...]:
    engine = {
        tensor.name: tensor.name
        for tensor in ENSEMBLE_INPUTS
        if tensor.name in {t.name for t in ENGINE_INPUTS}
    }
    return (
        EnsembleStep(
            f"{name}_preprocessing",
            {
                "QUERY": "text_input",
                "REQUEST_OUTPUT_LEN": "max_tokens",
                "STOP_WORDS_DICT": "stop_words",
            },
            {
                "INPUT_ID": "_INPUT_ID",
                "REQUEST_INPUT_LEN": "_REQUEST_INPUT_LEN",
                "REQUEST_OUTPUT_LEN": "_REQUEST_OUTPUT_LEN",
                "STOP_WORDS_IDS": "_STOP_WORDS_IDS",
                "OUT_END_ID": "_END_ID",
            },
        ),
        EnsembleStep(
            f"{name}_engine",
            engine
            | {
                "input_ids": "_INPUT_ID",
                "input_lengths": "_REQUEST_INPUT_LEN",
                "request_output_len": "_REQUEST_OUTPUT_LEN",
                "stop_words_list": "_STOP_WORDS_IDS",
                "end_id": "_END_ID",
                "runtime_top_k": "top_k",
                "runtime_top_p": "top_p",
            },
            {"output_ids": "_TOKENS_BATCH", "sequence_length": "_SEQUENCE_LENGTH"},
        ),
        EnsembleStep(
            f"{name}_postprocessing",
            {"TOKENS_BATCH": "_TOKENS_BATCH", "SEQUENCE_LENGTH": "_SEQUENCE_LENGTH"},
            {"OUTPUT": "text_output"},
        ),
    )


if __name__ == "__main__":
    write(demo(), Path(sys.argv[1]))
    write_embedding(Path(sys.argv[1]))
    write_guard(Path(sys.argv[1]))

"""The Triton models `<name>_preprocessing` and `<name>_postprocessing`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from serving.adapters.python_backend import ModelConfig, answer_each, load_error
from serving.bls.ensemble import postprocess, preprocess
from serving.bls.language import Language

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]


class PreprocessingModel:
    """`<name>_preprocessing`: one text a row. Shorter rows are padded with the end id."""

    def initialize(self, args: dict[str, str]) -> None:
        self._language = load_language(ModelConfig(args))

    def execute(self, requests: list[Any]) -> list[Any]:
        return answer_each(requests, self._answer)

    def _answer(self, arrays: Arrays) -> dict[str, Array]:
        return preprocess(self._language, arrays)


class PostprocessingModel:
    """`<name>_postprocessing`: keeps no state, so it needs all tokens of an answer at once."""

    def initialize(self, args: dict[str, str]) -> None:
        self._language = load_language(ModelConfig(args))

    def execute(self, requests: list[Any]) -> list[Any]:
        return answer_each(requests, self._answer)

    def _answer(self, arrays: Arrays) -> dict[str, Array]:
        return postprocess(self._language, arrays)


def load_language(config: ModelConfig) -> Language:
    """The language of the model that `config` names. Raises what Triton reports as the reason."""
    path = Path(config.version_dir) / (config.parameter("model") or "model")
    try:
        return Language.load(path, config.parameter("tool_format"))
    except (OSError, ValueError) as error:
        raise load_error(f"cannot load the language of '{path}': {error}") from None

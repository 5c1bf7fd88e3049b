"""The second step for OpenVINO: the source as the folder or file the engine will load."""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from enginebuild import gguf_to_openvino
from enginebuild.disk import copy
from enginebuild.errors import BuildError
from enginebuild.recipe import Recipe
from enginebuild.sources import SourceKind, kind_of
from serving.text.model_files import context_length

REVISION = 2  # to be raised when what is written changes: what was kept is then made anew
MODEL, GGUF_MODEL = "model", "model.gguf"
_NO_GRAMMARS = "; it has no openvino_detokenizer.xml, so it takes no grammars"
_BESIDE_GGUF = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")


def check(recipe: Recipe, kind: SourceKind) -> None:
    """Raises BuildError for a precision that this source cannot have."""
    is_checkpoint = kind is SourceKind.HUGGING_FACE
    if is_checkpoint and recipe.precision == "as-is":
        raise BuildError("precision 'as-is': a Hugging Face folder needs fp16, int8 or int4")
    if not is_checkpoint and recipe.precision != "as-is":
        raise BuildError(
            f"precision '{recipe.precision}': a {kind} keeps the one it has, so say 'as-is'"
        )


def convert(recipe: Recipe, source: Path, folder: Path, tools: Path) -> str:
    """Fill `folder`, and return what was done. `tools` is the Python that has optimum-intel."""
    kind = kind_of(source)
    if kind is SourceKind.HUGGING_FACE:
        told = _export(recipe, source, folder / MODEL, tools)
    elif kind is SourceKind.OPENVINO:
        copy(source, folder / MODEL)
        has_vocabulary = (source / "openvino_detokenizer.xml").is_file()
        told = f"OpenVINO folder as it is{'' if has_vocabulary else _NO_GRAMMARS}"
    elif recipe.lora is not None:
        gguf_to_openvino.convert(source, folder / MODEL)
        told = "GGUF file to an OpenVINO folder with Hugging Face's names"
    else:
        _copy_gguf(source, folder)
        told = "GGUF file as it is; it takes no adapters"
    _limit_context(recipe, model_in(folder))
    return told


def model_in(folder: Path) -> Path:
    """What the engine loads out of the folder of this step."""
    gguf = folder / GGUF_MODEL
    return gguf if gguf.exists() else folder / MODEL


def _copy_gguf(source: Path, folder: Path) -> None:
    copy(source, folder / GGUF_MODEL)
    for name in _BESIDE_GGUF:
        if (source.parent / name).is_file():
            copy(source.parent / name, folder / name)


def _limit_context(recipe: Recipe, model: Path) -> None:
    """The recipe's context where it is below the model's. Raises BuildError where it is above."""
    own, wanted = context_length(model), recipe.context_length
    if wanted is None or wanted == own:
        return
    if wanted > own or model.name == GGUF_MODEL:
        raise BuildError(f"context_length = {wanted}: the model's own is {own}")
    path = model / "config.json"
    config = json.loads(path.read_text())
    config.get("text_config", config)["max_position_embeddings"] = wanted
    path.write_text(json.dumps(config, indent=2) + "\n")


def _export(recipe: Recipe, source: Path, target: Path, tools: Path) -> str:
    """Hugging Face to OpenVINO by optimum-intel, in a process of its own: it needs torch."""
    if tools == Path(sys.executable) and find_spec("optimum") is None:
        raise BuildError(
            "Hugging Face folders are converted by optimum-intel, which is not here: "
            "pip install 'conch-llm[build]', or name another environment's Python with --tools"
        )
    child = Path(__file__).with_name("optimum_export.py")
    line = [str(tools), str(child), str(source), str(target), recipe.precision]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        said = _last_line(done.stderr or done.stdout) or f"status {done.returncode}"
        raise BuildError(f"optimum-intel cannot convert '{source}': {said}")
    _keep_text_files(source, target)
    return f"Hugging Face folder to OpenVINO, {recipe.precision} ({_last_line(done.stdout)})"


def _keep_text_files(source: Path, target: Path) -> None:
    """The source's own tokenizer and template: the export writes them anew, not always the same."""
    for pattern in ("tokenizer*.json", "chat_template*", "generation_config.json"):
        for file in source.glob(pattern):
            shutil.copyfile(file, target / file.name)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]

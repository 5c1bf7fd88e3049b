"""A GGUF file as an OpenVINO folder whose linear layers have Hugging Face's names.

LoRA adapters find their layers by those names; on the GGUF file itself the library drops an
adapter without a word. `python -m enginebuild.gguf_to_openvino FILE FOLDER`.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from enginebuild.errors import BuildError
from enginebuild.gguf_tensors import fingerprint, linear_weights
from enginebuild.hugging_face_files import write_files

GRAPH = "openvino_model.xml"
_NAME = "__module.{module}/ov_ext::linear/MatMul"  # what the library looks for


def convert(source: Path, folder: Path) -> None:
    """Write the folder; what the library and OpenVINO keep in memory ends with a child process.

    Raises BuildError with the reason, naming the layer where one could not be found.
    """
    folder.mkdir(parents=True, exist_ok=True)
    line = [sys.executable, "-m", "enginebuild.gguf_to_openvino", str(source), str(folder)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"status {done.returncode}"]
        raise BuildError(f"cannot convert '{source}': {said[-1].removeprefix('error: ')}")


def _convert(source: Path, folder: Path) -> None:
    modules = linear_weights(source)
    with TemporaryDirectory(prefix="conch_gguf_") as aside:
        model = _read(_saved_graph(source, Path(aside)))
        _rename(model, modules)
        _save(model, folder / GRAPH)
        for graph in Path(aside).glob(
            "openvino_*tokenizer.*"
        ):  # grammars read the vocabulary there
            shutil.copyfile(graph, folder / graph.name)
    write_files(source, folder)


def _openvino() -> Any:
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # it reports every import
    import openvino

    return openvino


def _read(graph: Path) -> Any:
    return _openvino().Core().read_model(str(graph))


def _save(model: Any, path: Path) -> None:
    _openvino().save_model(model, str(path), compress_to_fp16=False)


def _saved_graph(source: Path, folder: Path) -> Path:
    """The library writes the graphs of a GGUF file beside the file, so it gets one in `folder`."""
    _openvino()
    import openvino_genai as genai  # noqa: TID251 - the engine's module serves, and saves no graphs

    file = folder / "model.gguf"
    if os.access(source, os.W_OK):  # the library opens it for writing
        file.symlink_to(source.resolve())
    else:
        shutil.copyfile(source, file)
    scheduler = genai.SchedulerConfig()
    scheduler.num_kv_blocks = 4
    with _quiet():
        genai.ContinuousBatchingPipeline(
            str(file), scheduler, "CPU", {"enable_save_ov_model": True}
        )
        genai.Tokenizer(str(file), enable_save_ov_model=True)
    if not (folder / GRAPH).is_file():
        raise BuildError("the library wrote no graph of it")
    return folder / GRAPH


@contextmanager
def _quiet() -> Iterator[None]:
    """What the library prints to standard output goes to standard error."""
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _rename(model: Any, modules: dict[str, str]) -> None:
    """Give each linear layer its module's name. Raises BuildError unless each is there once."""
    found: Counter[str] = Counter()
    for operation in model.get_ordered_ops():
        if operation.get_type_name() != "MatMul" or (weights := _weights(operation)) is None:
            continue
        module = modules.get(fingerprint(weights))
        if module is not None:
            operation.set_friendly_name(_NAME.format(module=module))
            found[module] += 1
    wrong = [f"{module} {found[module]} times" for module in modules.values() if found[module] != 1]
    if wrong:
        raise BuildError(f"in its graph are {', '.join(wrong)}, and each must be there once")


def _weights(operation: Any) -> np.ndarray[Any, Any] | None:
    """The constant at the far end of the second input, before scales and shapes are applied."""
    node = operation.input(1).get_source_output().get_node()
    while node.get_type_name() != "Constant":
        if not node.inputs():
            return None
        node = node.input(0).get_source_output().get_node()
    return np.asarray(node.data)


def main(source: Path, folder: Path) -> None:
    try:
        _convert(source, folder)
    except (BuildError, ValueError, RuntimeError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

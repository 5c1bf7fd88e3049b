"""The first step: the source of a recipe on this disk, with the hash of every file."""

import json
from dataclasses import asdict
from pathlib import Path

from enginebuild import sources
from enginebuild.errors import BuildError
from enginebuild.recipe import Recipe
from enginebuild.sources import HUB, InputFile
from enginebuild.told import Told

_LIST = "inputs.json"
_CHECKPOINT = "checkpoint"
_WANTED = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")


def local_source(recipe: Recipe, recipe_file: Path) -> Path | None:
    """The file or folder a recipe names; None for one on Hugging Face."""
    if recipe.source.startswith(HUB):
        return None
    return (recipe_file.parent / recipe.source).resolve()


def needs(recipe: Recipe, local: Path | None) -> object:
    """What the step depends on: for files here, their names, sizes and times."""
    state = None if local is None else sources.state_of(_present(local))
    return [recipe.source, recipe.sha256, str(local), state]


def fetch(recipe: Recipe, local: Path | None, folder: Path, told: Told) -> str:
    """Bring the source here when it is elsewhere, and write down its hashes. Raises BuildError."""
    source = local or _download(recipe.source.removeprefix(HUB), folder / _CHECKPOINT)
    sources.kind_of(source)
    told.expect(sum(file.stat().st_size for file in sources.files_of(source)))
    files = sources.hashed(source, told.advance)
    found = sources.digest(files)
    if recipe.sha256 not in (None, found):
        raise BuildError(f"source '{recipe.source}' has sha256 {found}, not {recipe.sha256}")
    (folder / _LIST).write_text(json.dumps([asdict(file) for file in files], indent=2))
    return f"{len(files)} files, sha256 {found[:12]}…"


def inputs(folder: Path) -> tuple[InputFile, ...]:
    """The files that the step found."""
    return tuple(InputFile(**file) for file in json.loads((folder / _LIST).read_text()))


def source_in(local: Path | None, folder: Path) -> Path:
    """Where the source lies after the step."""
    return local or folder / _CHECKPOINT


def _present(source: Path) -> Path:
    sources.kind_of(source)
    return source


def _download(name: str, folder: Path) -> Path:
    from huggingface_hub import snapshot_download  # here: only this path needs the network
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    model, _, revision = name.partition("@")
    try:
        snapshot_download(
            model, revision=revision or None, local_dir=folder, allow_patterns=list(_WANTED)
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise BuildError(
            f"cannot fetch '{name}' from Hugging Face: {reason}. A folder that was fetched "
            "elsewhere can be named as the source"
        ) from error
    return folder

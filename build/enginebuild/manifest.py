"""The record of a build: what went in, which tools, what each step made and what never ran."""

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from enginebuild.disk import fsync_folder
from enginebuild.sources import InputFile

FILE = "manifest.json"
FORMAT = 1
PACKAGES = ("conch-llm", "openvino", "openvino-genai", "gguf", "tokenizers", "numpy")


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step that is done. `key` is a hash of all it depends on; sizes are in bytes."""

    name: str
    key: str
    began_at: str
    took_s: float
    size: int
    told: str


@dataclass(slots=True)
class Manifest:
    """Of one model; written anew after each step. `build` is the key of the last one,
    `loaded` that of the build that went into a running stack."""

    name: str
    recipe: dict[str, Any]
    engine_kind: dict[str, str]
    format: int = FORMAT
    tools: dict[str, str] = field(default_factory=dict)
    source: str = ""
    inputs: tuple[InputFile, ...] = ()
    steps: list[StepRecord] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    golden: list[dict[str, Any]] = field(default_factory=list)
    build: str = ""
    loaded: str = ""
    published_at: str | None = None

    def step(self, name: str) -> StepRecord | None:
        return next((step for step in self.steps if step.name == name), None)

    def forget_from(self, index: int) -> None:
        del self.steps[index:]


_MANIFEST = TypeAdapter(Manifest)


def read(folder: Path) -> Manifest | None:
    """The manifest in `folder`; None where there is none, or one of another format."""
    try:
        found = _MANIFEST.validate_json((folder / FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return found if found.format == FORMAT else None


def write(folder: Path, manifest: Manifest) -> None:
    """Replaces it in one step; it outlives a power cut."""
    aside = folder / f".{FILE}.{os.getpid()}"
    with aside.open("w", encoding="utf-8") as file:
        json.dump(asdict(manifest), file, indent=2, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    aside.replace(folder / FILE)
    fsync_folder(folder)


def tool_versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found

"""What a recipe's source is, and the hashes of its files."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from enginebuild.errors import BuildError

HUB = "hf:"
_CHUNK_BYTES = 4 << 20
_IGNORED = {".cache", ".git", "__pycache__"}


class SourceKind(StrEnum):
    """What can be built from."""

    GGUF = "GGUF file"
    OPENVINO = "OpenVINO folder"
    HUGGING_FACE = "Hugging Face folder"


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of a source; `path` is relative to it, or its name where it is the file itself."""

    path: str
    size: int
    sha256: str


def kind_of(source: Path) -> SourceKind:
    """Raises BuildError for what is nothing that can be built from."""
    if source.is_file() and source.suffix == ".gguf":
        return SourceKind.GGUF
    if (source / "openvino_model.xml").is_file():
        return SourceKind.OPENVINO
    if (source / "config.json").is_file() and any(source.glob("*.safetensors")):
        return SourceKind.HUGGING_FACE
    if not source.exists():
        raise BuildError(f"source '{source}' does not exist")
    raise BuildError(
        f"source '{source}' is no GGUF file, no folder with openvino_model.xml and no Hugging Face "
        "folder (config.json and *.safetensors)"
    )


def files_of(source: Path) -> list[Path]:
    """The files that count, in a fixed order."""
    if source.is_file():
        return [source]
    found = (path for path in source.rglob("*") if path.is_file())
    return sorted(p for p in found if not _IGNORED & set(p.relative_to(source).parts))


def state_of(source: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change of each file: enough to see that they are to be read again."""
    stats = ((file, file.stat()) for file in files_of(source))
    return [(_name(source, file), stat.st_size, stat.st_mtime_ns) for file, stat in stats]


def hashed(source: Path, on_bytes: Callable[[int], None]) -> tuple[InputFile, ...]:
    return tuple(
        InputFile(_name(source, file), file.stat().st_size, _sha256(file, on_bytes))
        for file in files_of(source)
    )


def digest(files: tuple[InputFile, ...]) -> str:
    """The hash of a source: the file's own, or that of what `sha256sum` prints for a folder."""
    if len(files) == 1:
        return files[0].sha256
    lines = "".join(f"{file.sha256}  {file.path}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def _name(source: Path, file: Path) -> str:
    return file.name if file == source else file.relative_to(source).as_posix()


def _sha256(file: Path, on_bytes: Callable[[int], None]) -> str:
    found = hashlib.sha256()
    for chunk in _chunks(file):
        found.update(chunk)
        on_bytes(len(chunk))
    return found.hexdigest()


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as data:
        while chunk := data.read(_CHUNK_BYTES):
            yield chunk

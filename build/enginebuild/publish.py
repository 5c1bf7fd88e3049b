"""Built Triton models into the repository of models: whole or not at all, the engine first.

Everything that the models of one name share (weights, tokenizer, template) is in the engine's
folder, which takes its place in one step; the others are a config each. So a replaced model changes
at one moment, and a new one is there for clients only with its last folder, the BLS model's.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from enginebuild import manifest as manifests
from enginebuild.disk import exchange, fsync_folder, fsync_tree, link
from enginebuild.errors import BuildError
from enginebuild.manifest import FILE, Manifest
from enginebuild.recipe import SUFFIXES

ENTRIES = (*SUFFIXES, "")  # of a name; the engine first, what clients call last


@dataclass(frozen=True, slots=True)
class Shelf:
    """`models` is where builds go; `shipped` is in git, and its names are taken."""

    models: Path
    shipped: Path

    def check(self, name: str) -> None:
        """Raises BuildError for a name that would hide or overwrite another model."""
        for suffix in ENTRIES:
            entry = f"{name}{suffix}"
            if (self.shipped / entry).exists():
                raise BuildError(
                    f"name '{name}': {self.shipped} in git has '{entry}' already; choose another"
                )
            if (self.models / entry).exists() and self._owner(entry) != name:
                raise BuildError(
                    f"name '{name}': '{self.models / entry}' belongs to another model; "
                    "choose another name or remove it"
                )

    def _owner(self, entry: str) -> str | None:
        """The name that a published entry was built as, by the manifest beside its engine."""
        for suffix in ENTRIES:
            base = entry.removesuffix(suffix) if suffix else entry
            engine = self.models / f"{base}_engine"
            if entry.endswith(suffix) and (engine / FILE).is_file():
                return base
        return None

    def has(self, name: str) -> bool:
        return (self.models / name).is_dir() and (self.models / f"{name}_engine").is_dir()


def publish(shelf: Shelf, name: str, rendered: Path, manifest: Manifest, aside: Path) -> None:
    """Put the entries of `rendered` in place; what they replace is left in `aside`.

    Raises BuildError when the two are on different disks.
    """
    shutil.rmtree(aside, ignore_errors=True)
    link(rendered, aside)
    manifests.write(aside / f"{name}_engine", manifest)
    fsync_tree(aside)
    try:
        shelf.models.mkdir(parents=True, exist_ok=True)
        for entry in _present(aside, name):
            exchange(entry, shelf.models / entry.name)
            fsync_folder(shelf.models)
    except OSError as error:
        raise BuildError(f"cannot publish to {shelf.models}: {error}") from error


def withdraw(shelf: Shelf, name: str, aside: Path) -> None:
    """Take the last publication back: what it replaced returns, and what was new goes."""
    for suffix in reversed(ENTRIES):
        entry = shelf.models / f"{name}{suffix}"
        if (aside / entry.name).is_dir():
            exchange(aside / entry.name, entry)
        else:
            shutil.rmtree(entry, ignore_errors=True)
    fsync_folder(shelf.models)


def _present(folder: Path, name: str) -> Iterator[Path]:
    return (folder / f"{name}{s}" for s in ENTRIES if (folder / f"{name}{s}").is_dir())

"""The adapters of one base model on disk: `<root>/<name>/<version>/`, and what is pinned.

Two roots: one that ships with the model and is only read, and one of our own. A version that is
half written is never seen, in this process or another, and survives no crash.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from serving.contract.errors import AdapterNotFound, Conflict, InvalidRequest
from serving.lora import files
from serving.lora.durable import discard, made_aside, mark, numbered, publish
from serving.lora.identity import task_id
from serving.lora.record import Record, read_record, write_record
from serving.lora.source import BaseModel, Fitted, read_source

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_PINNED, _REMOVED = "pinned", "removed"


@dataclass(frozen=True, slots=True)
class Stored:
    """The version of an adapter that is served, and the folder that has its tensors."""

    record: Record
    folder: Path
    is_pinned: bool
    is_shipped: bool


class AdapterStore:
    """Every method looks at the disk; none of them is fast, so an event loop calls them aside."""

    def __init__(self, base: BaseModel, *, shipped: Path, own: Path | None) -> None:
        self._base = base
        self._shipped = shipped
        self._own = own

    def served(self) -> tuple[dict[str, Stored], list[str]]:
        """The highest version of every adapter by name, and a line for each one unusable."""
        found: dict[str, Stored] = {}
        troubles = []
        for name in sorted(self._names()):
            try:
                stored = self.find(name)
            except ValueError as error:
                troubles.append(str(error))
            else:
                found |= {} if stored is None else {name: stored}
        return found, troubles

    def find(self, name: str) -> Stored | None:
        """The version that is served; None without one. Raises ValueError for an unusable one."""
        versions = self._versions(name)
        if not versions:
            return None
        folder = versions[max(versions)]
        return Stored(
            read_record(folder, self._base.name),
            folder,
            is_pinned=any((root / name / _PINNED).exists() for root in self._roots()),
            is_shipped=(self._shipped / name).is_dir(),
        )

    def add(self, name: str, source: Path) -> Stored:
        """Converts a folder into the next version of `name`; the same content makes none.

        Raises UnfitAdapter, InvalidRequest and Conflict.
        """
        home = self._home(name)
        fitted = read_source(source, self._base)
        record = self._record(name, fitted)
        with self._as_they_should_be(name):
            current = self.find(name)
            if current is not None and current.record.task_id == record.task_id:
                return current
        self._write(home, record, fitted)
        return self._sure(name)

    def remove(self, name: str) -> None:
        """Of a shipped one only a mark is left that it is gone. Raises AdapterNotFound."""
        versions = self._versions(name)
        if not versions:
            raise self._unknown(name)
        home = self._home(name)
        mark(home / _REMOVED, str(max(versions)))
        (home / _PINNED).unlink(missing_ok=True)
        for version in numbered(home).values():
            discard(version)

    def pin(self, name: str) -> Stored:
        """Raises AdapterNotFound."""
        self._sure(name)
        mark(self._home(name) / _PINNED)
        return self._sure(name)

    def unpin(self, name: str) -> Stored:
        """Raises AdapterNotFound, and Conflict for one that ships pinned."""
        self._sure(name)
        (self._home(name) / _PINNED).unlink(missing_ok=True)
        stored = self._sure(name)
        if stored.is_pinned:
            raise Conflict(
                f"adapter '{name}' ships pinned: remove {self._shipped / name / _PINNED}"
            )
        return stored

    def _sure(self, name: str) -> Stored:
        with self._as_they_should_be(name):
            stored = self.find(name)
        if stored is None:
            raise self._unknown(name)
        return stored

    def _unknown(self, name: str) -> AdapterNotFound:
        return AdapterNotFound(f"'{self._base.name}' has no adapter '{name}'")

    @contextmanager
    def _as_they_should_be(self, name: str) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            raise Conflict(f"adapter '{name}': {error}; remove it and add it again") from error

    def _record(self, name: str, fitted: Fitted) -> Record:
        return Record(
            name=name,
            version=0,  # as yet
            base=self._base.name,
            task_id=task_id(self._base.name, fitted.tensors),
            rank=fitted.rank,
            modules=fitted.modules,
            created_at=round(time.time(), 3),
            source_sha256=fitted.sha256,
        )

    def _write(self, home: Path, record: Record, fitted: Fitted) -> None:
        with made_aside(home) as aside:
            files.save(aside, fitted.tensors)
            while True:
                version = self._next(record.name)
                write_record(aside, replace(record, version=version))
                if publish(aside, str(version)):
                    return
                # Another process was quicker; the next number is free.

    def _next(self, name: str) -> int:
        """Counted on after a removal too, so that a number never means two things."""
        folders = [root / name for root in self._roots()]
        last = [number for folder in folders for number in numbered(folder)]
        return max([*last, *map(_removed, folders)], default=0) + 1

    def _versions(self, name: str) -> dict[int, Path]:
        if not NAME.fullmatch(name):
            return {}
        folders = [root / name for root in self._roots()]
        removed = max(map(_removed, folders))
        found = [item for folder in folders for item in numbered(folder).items()]
        return {number: path for number, path in found if number > removed}

    def _names(self) -> set[str]:
        folders = (folder for root in self._roots() if root.is_dir() for folder in root.iterdir())
        return {folder.name for folder in folders if NAME.fullmatch(folder.name)}

    def _roots(self) -> list[Path]:
        return [self._shipped] if self._own is None else [self._shipped, self._own]

    def _home(self, name: str) -> Path:
        """The folder of `name` that may be written, made if need be."""
        if not NAME.fullmatch(name):
            raise InvalidRequest(
                f"'{name}' is no adapter name: lower-case letters, digits, '.', '_', '-', "
                "at most 63 characters",
                param="name",
            )
        if self._own is None:
            raise Conflict("adapters cannot be changed: set CONCH_ADAPTERS for Triton to a folder")
        home = self._own / name
        home.mkdir(parents=True, exist_ok=True)
        return home


def _removed(folder: Path) -> int:
    """The last version that was removed; 0 when none was."""
    try:
        return int((folder / _REMOVED).read_text())
    except FileNotFoundError:
        return 0

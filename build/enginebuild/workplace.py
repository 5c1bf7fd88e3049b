"""Where one model is built, and its steps: each is done once, and again when what it needs changed.

A step writes into a folder aside, which is renamed when it is whole: after a kill at any moment the
next build goes on with the first step that was not done.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from enginebuild import manifest as manifests
from enginebuild.disk import fsync_folder, fsync_tree, size_of
from enginebuild.errors import BuildError
from enginebuild.manifest import Manifest, StepRecord
from enginebuild.told import Told

Act = Callable[[Path], str]


@dataclass(frozen=True, slots=True)
class Workplace:
    """`work` has a folder a step and the manifest; `aside` is for publishing."""

    root: Path

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def aside(self) -> Path:
        return self.root / "aside"

    @property
    def plan(self) -> Path:
        return self.root / "plan"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Raises BuildError while the same model is being built elsewhere."""
        self.work.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise BuildError(f"'{self.root.name}' is being built by another process") from None
        finally:
            os.close(descriptor)


class Steps:
    """Runs the steps of one build in order; a later one runs again when an earlier one did."""

    def __init__(self, place: Workplace, manifest: Manifest, told: Told) -> None:
        self._work = place.work
        self._manifest = manifest
        self._told = told
        self._key = ""
        self._count = 0

    def run(self, name: str, needs: object, act: Act, *, goes_on: bool = False) -> Path:
        """The folder that `act` filled, now or in an earlier build with the same needs.

        With `goes_on` what an interrupted `act` left is given to it again.
        """
        self._key = _hash([name, needs, self._key])
        folder = self._work / name
        known = self._manifest.step(name)
        if known is not None and known.key == self._key and folder.is_dir():
            self._told.kept(name, known.told)
        else:
            self._forget()
            self._do(name, folder, act, goes_on=goes_on)
        self._count += 1
        return folder

    @property
    def key(self) -> str:
        """Of all the steps so far: the same when nothing that they need has changed."""
        return self._key

    def _forget(self) -> None:
        """Before the folder goes: a manifest never tells of a step that is not there."""
        self._manifest.forget_from(self._count)
        self.save()

    def _do(self, name: str, folder: Path, act: Act, *, goes_on: bool) -> None:
        began, began_s = datetime.now(tz=UTC), time.monotonic()
        self._told.begin(name)
        partial = folder.with_name(f"{name}.partial")
        if not goes_on:
            shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(exist_ok=True)
        told = act(partial)
        fsync_tree(partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        fsync_folder(self._work)
        took_s = round(time.monotonic() - began_s, 3)
        self._manifest.steps.append(
            StepRecord(name, self._key, began.isoformat(), took_s, size_of(folder), told)
        )
        self.save()
        self._told.done(name, told, took_s)

    def save(self) -> None:
        manifests.write(self._work, self._manifest)


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()

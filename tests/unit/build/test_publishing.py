"""Publishing swaps folders in one step, gives back what it replaced, and touches no other model."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from enginebuild import disk
from enginebuild.errors import BuildError
from enginebuild.manifest import Manifest, read
from enginebuild.publish import ENTRIES, Shelf, publish, withdraw


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    (tmp_path / "git" / "taken_engine").mkdir(parents=True)
    return Shelf(tmp_path / "models", tmp_path / "git")


def rendered(folder: Path, text: str, suffixes=ENTRIES) -> Path:
    for suffix in suffixes:
        entry = folder / f"x{suffix}"
        entry.mkdir(parents=True)
        (entry / "config.pbtxt").write_text(text)
    return folder


def put(shelf: Shelf, folder: Path, text: str) -> None:
    publish(shelf, "x", rendered(folder / text, text), Manifest("x", {}, {}), folder / "aside")


def texts(shelf: Shelf) -> set[str]:
    return {path.read_text() for path in shelf.models.glob("*/config.pbtxt")}


def test_a_new_version_takes_the_place_of_the_old_and_can_be_taken_back(
    tmp_path: Path, shelf: Shelf
) -> None:
    put(shelf, tmp_path, "old")
    put(shelf, tmp_path, "new")
    assert texts(shelf) == {"new"}
    withdraw(shelf, "x", tmp_path / "aside")
    assert texts(shelf) == {"old"}


def test_a_first_version_that_is_taken_back_leaves_nothing(tmp_path: Path, shelf: Shelf) -> None:
    put(shelf, tmp_path, "old")
    withdraw(shelf, "x", tmp_path / "aside")
    assert list(shelf.models.iterdir()) == []


def test_the_manifest_goes_with_the_engine(tmp_path: Path, shelf: Shelf) -> None:
    put(shelf, tmp_path, "old")
    assert read(shelf.models / "x_engine") is not None
    assert shelf.has("x")


def test_names_of_git_and_of_other_models_are_taken(tmp_path: Path, shelf: Shelf) -> None:
    put(shelf, tmp_path, "old")
    shelf.check("x")  # its own
    shelf.check("y")
    with pytest.raises(BuildError, match="in git has 'taken_engine' already"):
        shelf.check("taken")
    (shelf.models / "by-hand").mkdir()
    with pytest.raises(BuildError, match="belongs to another model"):
        shelf.check("by-hand")


def test_exchange_leaves_no_moment_without_a_folder(tmp_path: Path) -> None:
    new, there = tmp_path / "new", tmp_path / "there"
    for folder in (new, there):
        folder.mkdir()
        (folder / "name").write_text(folder.name)
    disk.exchange(new, there)
    assert [(folder / "name").read_text() for folder in (new, there)] == ["there", "new"]


def test_another_disk_is_refused_with_the_reason(shelf: Shelf, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        shelf = Shelf(Path(elsewhere) / "models", shelf.shipped)
        with pytest.raises(BuildError, match=r"cannot publish to /dev/shm.*cross-device"):
            put(shelf, tmp_path, "new")
        assert list(shelf.models.iterdir()) == []

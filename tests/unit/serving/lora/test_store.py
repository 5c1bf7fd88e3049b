"""Adapters on disk: versions, marks, and that nothing half done is ever seen."""

import json
import os
import threading
from pathlib import Path

import pytest
from lora_layers import SHAPE, SPLIT, make_layer

from serving.contract.errors import AdapterNotFound, Conflict, InvalidRequest, UnfitAdapter
from serving.lora import files, peft, store
from serving.lora.fit import LoraLimits
from serving.lora.identity import task_id
from serving.lora.modules import Module
from serving.lora.source import BaseModel
from serving.lora.store import AdapterStore
from serving.lora.weights import encode

BASE = BaseModel("small", SHAPE, SPLIT)


@pytest.fixture
def roots(tmp_path):
    return tmp_path / "shipped", tmp_path / "own"


@pytest.fixture
def made(roots):
    shipped, own = roots
    return AdapterStore(BASE, shipped=shipped, own=own)


@pytest.fixture
def source(tmp_path):
    """Makes PEFT folders, each of a seed."""

    def make(seed=0, **layer):
        folder = tmp_path / f"peft-{seed}"
        peft.write(folder, [make_layer(seed=seed, **layer)], "small")
        return folder

    return make


def names_of(adapters):
    return {name: stored.record.version for name, stored in adapters.served()[0].items()}


def ship(roots, name, folder):
    AdapterStore(BASE, shipped=roots[1], own=roots[0]).add(name, folder)


def test_an_added_adapter_is_served_with_its_tensors(made, source):
    stored = made.add("pirate", source(1))
    record = stored.record
    assert (record.name, record.version, record.base, record.rank) == ("pirate", 1, "small", 2)
    assert record.modules == ("attn_q",)
    tensors = files.load(stored.folder)
    assert record.task_id == task_id("small", tensors)
    assert (tensors.config == encode([make_layer(seed=1)]).config).all()
    assert made.served() == ({"pirate": stored}, [])
    assert (stored.is_pinned, stored.is_shipped) == (False, False)


def test_it_is_the_same_after_a_restart(made, roots, source):
    stored = made.add("pirate", source(1))
    assert AdapterStore(BASE, shipped=roots[0], own=roots[1]).find("pirate") == stored


def test_another_content_is_the_next_version_and_the_same_is_none(made, source):
    first = made.add("pirate", source(1))
    assert made.add("pirate", source(1)) == first
    second = made.add("pirate", source(2))
    assert (second.record.version, second.record.task_id != first.record.task_id) == (2, True)
    assert made.find("pirate") == second
    assert first.folder.is_dir()


def test_tensors_of_nvidias_converter_are_taken_too(made, tmp_path, source):
    folder = tmp_path / "npy"
    folder.mkdir()
    files.save(folder, encode([make_layer(seed=1)]))
    from_peft = made.add("one", source(1)).record
    from_npy = made.add("other", folder).record
    assert from_npy.task_id == from_peft.task_id
    assert len({from_npy.source_sha256, from_peft.source_sha256}) == 2


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (LoraLimits(1, SPLIT.modules), "rank 2"),
        (LoraLimits(8, frozenset({Module.ATTN_V})), "attn_q"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(roots, source, limits, reason):
    base = BaseModel("small", SHAPE, limits)
    adapters = AdapterStore(base, shipped=roots[0], own=roots[1])
    with pytest.raises(UnfitAdapter, match=reason):
        adapters.add("pirate", source(1))
    assert adapters.served() == ({}, [])
    assert list((roots[1] / "pirate").iterdir()) == []


def test_a_folder_of_neither_kind_is_refused_by_what_it_lacks(made, tmp_path):
    with pytest.raises(UnfitAdapter, match=r"adapter_config\.json"):
        made.add("pirate", tmp_path)


@pytest.mark.parametrize("name", ["", "Pirate", "../pirate", ".hidden", "a" * 64, "a/b", "a:b"])
def test_an_odd_name_is_refused(made, source, name):
    with pytest.raises(InvalidRequest, match="no adapter name"):
        made.add(name, source(1))
    assert made.find(name) is None


def test_a_removed_one_is_gone_and_its_numbers_are_not_used_again(made, source):
    made.add("pirate", source(1))
    made.pin("pirate")
    made.remove("pirate")
    assert made.served() == ({}, [])
    with pytest.raises(AdapterNotFound):
        made.remove("pirate")
    stored = made.add("pirate", source(1))
    assert (stored.record.version, stored.is_pinned) == (2, False)


def test_mapped_tensors_outlive_their_files(made, source):
    tensors = files.load(made.add("pirate", source(1)).folder)
    made.remove("pirate")
    assert (tensors.weights == encode([make_layer(seed=1)]).weights).all()


def test_a_shipped_one_is_served_replaced_and_removed_without_being_touched(made, roots, source):
    ship(roots, "pirate", source(1))
    before = sorted(roots[0].rglob("*"))
    assert made.find("pirate").is_shipped
    assert made.add("pirate", source(2)).record.version == 2
    assert made.find("pirate").is_shipped
    made.remove("pirate")
    assert made.served() == ({}, [])
    assert made.add("pirate", source(1)).record.version == 3
    assert sorted(roots[0].rglob("*")) == before


def test_pins_last_until_they_are_taken_away(made, roots, source):
    ship(roots, "pirate", source(1))
    assert made.pin("pirate").is_pinned
    assert made.add("pirate", source(2)).is_pinned
    assert not made.unpin("pirate").is_pinned
    for change in (made.pin, made.unpin):
        with pytest.raises(AdapterNotFound, match="'other'"):
            change("other")


def test_one_that_ships_pinned_stays_so(made, roots, source):
    ship(roots, "pirate", source(1))
    (roots[0] / "pirate" / "pinned").touch()
    assert made.find("pirate").is_pinned
    with pytest.raises(Conflict, match="ships pinned"):
        made.unpin("pirate")


def test_without_a_folder_of_our_own_nothing_can_be_changed(roots, source):
    ship(roots, "pirate", source(1))
    adapters = AdapterStore(BASE, shipped=roots[0], own=None)
    assert names_of(adapters) == {"pirate": 1}
    with pytest.raises(Conflict, match="CONCH_ADAPTERS"):
        adapters.add("other", source(2))


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", ["save", "write_record", "publish"])
def test_killed_while_it_writes_nothing_is_seen(made, source, monkeypatch, step):
    made.add("pirate", source(1))

    def kill(*_):
        raise Killed

    monkeypatch.setattr(files if step == "save" else store, step, kill)
    with pytest.raises(Killed):
        made.add("pirate", source(2))
    monkeypatch.undo()
    assert names_of(made) == {"pirate": 1}
    assert made.add("pirate", source(2)).record.version == 2


def test_what_a_killed_process_left_is_passed_over_and_cleared_later(made, roots, source):
    made.add("pirate", source(1))
    left = roots[1] / "pirate" / ".0123"
    left.mkdir()
    assert names_of(made) == {"pirate": 1}
    os.utime(left, (0, 0))
    made.add("pirate", source(2))
    assert not left.exists()


def test_what_another_writer_ends_while_it_is_looked_at_is_passed_over(
    made, roots, source, monkeypatch
):
    made.add("pirate", source(1))
    left = roots[1] / "pirate" / ".0123"
    left.mkdir()
    glob = Path.glob

    def listed(folder, pattern):
        found = list(glob(folder, pattern))
        left.rename(roots[1] / "published")
        return found

    monkeypatch.setattr(Path, "glob", listed)
    assert made.add("pirate", source(2)).record.version == 2


def test_every_step_of_a_version_is_on_disk_before_it_has_its_name(made, source, monkeypatch):
    synced = []
    fsync = os.fsync

    def watched(descriptor):
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    stored = made.add("pirate", source(1))
    inside = {path.name for path in synced if path.parent.name.startswith(".")}
    assert {"adapter.json", "model.lora_weights.npy", "model.lora_config.npy"} <= inside
    assert synced[-1] == stored.folder.parent


def test_two_at_once_get_two_versions(roots, source):
    sources = [source(seed) for seed in range(4)]
    stores = [AdapterStore(BASE, shipped=roots[0], own=roots[1]) for _ in sources]
    versions = []

    def add(place):
        versions.append(stores[place].add("pirate", sources[place]).folder)

    threads = [threading.Thread(target=add, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    home = roots[1] / "pirate"
    assert sorted(path.name for path in home.iterdir()) == ["1", "2", "3", "4"]
    assert (
        len({json.loads((path / "adapter.json").read_text())["version"] for path in home.iterdir()})
        == 4
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "other"}'])
def test_an_unreadable_record_keeps_no_other_from_being_served(made, source, text):
    broken = made.add("broken", source(1))
    made.add("pirate", source(2))
    (broken.folder / "adapter.json").write_text(text)
    served, troubles = made.served()
    assert (list(served), len(troubles)) == (["pirate"], 1)
    assert str(broken.folder) in troubles[0]
    with pytest.raises(Conflict, match="remove it"):
        made.add("broken", source(3))
    made.remove("broken")
    assert made.add("broken", source(3)).record.version == 2


def test_a_record_of_another_base_model_is_not_served(made, roots, source):
    made.add("pirate", source(1))
    other = AdapterStore(BaseModel("large", SHAPE, SPLIT), shipped=roots[0], own=roots[1])
    served, troubles = other.served()
    assert (served, "small" in troubles[0]) == ({}, True)

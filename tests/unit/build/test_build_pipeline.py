"""A build: its steps go on after a kill, and what is published is whole or not to be seen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from build_site import DEMO_GGUF, KilledError, Told, recipe_file, site_in, write_gguf

from enginebuild import disk, pipeline, publish
from enginebuild.errors import BuildError
from enginebuild.manifest import read
from enginebuild.publish import ENTRIES
from enginebuild.render import check_closed

STEPS = ["fetch", "convert", "compile", "render", "verify", "publish"]
NAMES = {f"mine{suffix}" for suffix in ENTRIES}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    write_gguf(tmp_path / "m.gguf")
    return recipe_file(tmp_path)


def visible(folder: Path) -> set[str]:
    return {path.name for path in (folder / "models").glob("*")}


def test_a_build_killed_anywhere_goes_on_with_what_was_not_done(
    tmp_path: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = site_in(tmp_path)
    for number, step in enumerate(STEPS[:-1]):
        told = Told(dies_after=step)
        with pytest.raises(KilledError):
            pipeline.build(recipe, site, told)
        assert (told.steps("kept"), told.steps("done")) == (STEPS[:number], [step])
        assert visible(tmp_path) == set()
    for folders in range(len(ENTRIES)):
        _die_after(folders, monkeypatch)
        with pytest.raises(KilledError):
            pipeline.build(recipe, site, Told())
        # The one that clients call is not there: it comes last.
        assert visible(tmp_path) == {f"mine{suffix}" for suffix in ENTRIES[:folders]}
        monkeypatch.undo()
    told, again = Told(), Told()
    pipeline.build(recipe, site, told)
    assert (told.steps("done"), visible(tmp_path)) == (["publish"], NAMES)
    pipeline.build(recipe, site, again)
    assert (again.steps("kept"), again.steps("done")) == (STEPS, [])


def _die_after(folders: int, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Path] = []

    def exchange(new: Path, there: Path) -> None:
        if len(done) == folders:
            raise KilledError
        done.append(there)
        disk.exchange(new, there)

    monkeypatch.setattr(publish, "exchange", exchange)


def test_a_build_killed_inside_a_step_leaves_no_half_of_it(tmp_path: Path, recipe: Path) -> None:
    code = (
        "import os, sys; sys.path.append(sys.argv[1])\n"
        "from pathlib import Path\n"
        "from build_site import Told, site_in\n"
        "from enginebuild import convert, pipeline\n"
        "convert._copy_gguf = lambda source, folder: os.kill(os.getpid(), 9)\n"
        "pipeline.build(Path(sys.argv[2]), site_in(Path(sys.argv[3])), Told())\n"
    )
    line = [sys.executable, "-c", code, str(Path(__file__).parent), str(recipe), str(tmp_path)]
    assert subprocess.run(line, check=False).returncode == -9
    work = tmp_path / "builds" / "mine" / "work"
    assert (work / "convert.partial").is_dir()
    assert not (work / "convert").exists()
    told = Told(dies_after="convert")
    with pytest.raises(KilledError):
        pipeline.build(recipe, site_in(tmp_path), told)
    assert told.lines == [("kept", "fetch"), ("begun", "convert"), ("done", "convert")]


def test_a_changed_recipe_or_source_runs_again_from_where_it_matters(
    tmp_path: Path, recipe: Path
) -> None:
    site = site_in(tmp_path)
    kept = []
    for changed in ({}, {"max_batch": 3}, {"max_batch": 3, "context_length": 128}):
        told = Told(dies_after="render")
        with pytest.raises(KilledError):
            pipeline.build(recipe_file(tmp_path, **changed), site, told)
        kept.append(told.steps("kept"))
    assert kept == [[], STEPS[:3], STEPS[:1]]
    write_gguf(tmp_path / "m.gguf", seed=1)
    told = Told(dies_after="fetch")
    with pytest.raises(KilledError):
        pipeline.build(recipe, site, told)
    assert told.steps("kept") == []


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that was built and published; it is not to be changed."""
    folder = tmp_path_factory.mktemp("built")
    write_gguf(folder / "m.gguf")
    told = Told()
    pipeline.build(recipe_file(folder), site_in(folder), told)
    assert told.notes == ["no stack of its own runs here; `conch up` serves the model"]
    return folder


def test_the_manifest_beside_the_engine_tells_what_was_built(built: Path) -> None:
    manifest = read(built / "models" / "mine_engine")
    assert manifest is not None
    (source,) = manifest.inputs
    assert (source.path, source.size) == ("m.gguf", (built / "m.gguf").stat().st_size)
    assert [step.name for step in manifest.steps] == STEPS[:-1]
    assert manifest.published_at is not None
    assert {"python", "openvino-genai", "gguf"} <= manifest.tools.keys()
    assert (manifest.engine_kind["name"], manifest.not_run) == ("openvino", [])


def test_what_is_served_shares_no_file_with_its_source(built: Path) -> None:
    served = built / "models" / "mine_engine" / "1" / "model.gguf"
    assert not served.samefile(built / "m.gguf")
    assert served.read_bytes() == (built / "m.gguf").read_bytes()


def test_the_configs_say_what_the_recipe_says(built: Path) -> None:
    config = (built / "models" / "mine_engine" / "config.pbtxt").read_text()
    for key, value in (("max_num_sequences", "16"), ("max_tokens_in_paged_kv_cache", "2048")):
        assert f'key: "{key}" value: {{ string_value: "{value}" }}' in config


def test_a_template_variable_that_is_left_open_is_named(tmp_path: Path) -> None:
    (tmp_path / "x_engine").mkdir()
    (tmp_path / "x_engine" / "config.pbtxt").write_text('name: "x"\nbackend: "${backend}"\n')
    with pytest.raises(BuildError, match=r"x_engine/config\.pbtxt leaves \$\{backend\} open"):
        check_closed(tmp_path)


def test_a_wrong_answer_stops_the_build_before_it_is_published(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").symlink_to(DEMO_GGUF)
    file = recipe_file(tmp_path)
    golden = '[[golden]]\nmessages = [{role = "user", content = "hello"}]\nexpect = "Moo."\n'
    file.write_text(f"{file.read_text()}\n{golden}")
    with pytest.raises(BuildError, match=r"golden prompt 1: the model answers '.+', not 'Moo\.'"):
        pipeline.build(file, site_in(tmp_path), Told())
    assert visible(tmp_path) == set()


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"source": "none.gguf"}, r"source '.*none\.gguf' does not exist"),
        ({"sha256": "0" * 64}, r"source 'm\.gguf' has sha256 [0-9a-f]{64}, not 0000"),
        ({"precision": "int8"}, r"precision 'int8': a GGUF file keeps the one it has"),
        ({"context_length": 4096}, r"context_length = 4096: the model's own is 128"),
        ({"name": "demo"}, r"name 'demo': .*model_repository in git has 'demo.*' already"),
        ({"name": "embedding"}, r"name 'embedding': .* in git has"),
    ],
)
def test_what_cannot_be_built_is_refused_and_nothing_is_seen(
    tmp_path: Path, recipe: Path, keys, told: str
) -> None:
    with pytest.raises(BuildError, match=told):
        pipeline.build(recipe_file(tmp_path, **keys), site_in(tmp_path), Told())
    assert visible(tmp_path) == set()


def test_a_hugging_face_folder_needs_the_extra_and_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "hf"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").touch()
    with pytest.raises(BuildError, match=r"pip install 'conch-llm\[build\]'"):
        pipeline.build(
            recipe_file(tmp_path, source="hf", precision="int8"), site_in(tmp_path), Told()
        )


def test_a_model_that_is_being_built_is_not_built_twice(tmp_path: Path, recipe: Path) -> None:
    site = site_in(tmp_path)
    with (
        site.workplace("mine").locked(),
        pytest.raises(BuildError, match="'mine' is being built by another process"),
    ):
        pipeline.build(recipe, site, Told())


def test_a_shorter_context_is_what_the_folder_says(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")
    file = recipe_file(tmp_path, context_length=64, lora={"max_rank": 4})
    pipeline.build(file, site_in(tmp_path), Told())
    config = tmp_path / "models" / "mine_engine" / "1" / "model" / "config.json"
    assert json.loads(config.read_text())["max_position_embeddings"] == 64

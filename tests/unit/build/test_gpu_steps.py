"""The steps of a TensorRT-LLM build in order and resumable, on stand-ins for Docker and a GPU.

What NVIDIA's tools make of their commands, no test here can tell.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from build_site import ROOT, Told, recipe_file, site_in
from gpu_stand_ins import write_tools

from enginebuild import pipeline
from enginebuild.errors import BuildError
from enginebuild.manifest import read
from serving.text.tokenizer import Tokenizer

DEMO = ROOT / "model_repository" / "demo_engine" / "1" / "model"
GOLDEN = '[[golden]]\nprompt = "hello"\ncontains = "Arr"\n'


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that notes every call of a tool; the engine answers "Arr"."""
    tools = write_tools(tmp_path / "tools")
    answer = ",".join(map(str, Tokenizer.load(DEMO).encode("Arr", has_template=True)))
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("ANSWER", answer)
    return tmp_path / "calls"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """For a Hugging Face folder with the demo's shape and tokenizer; its weights nobody reads."""
    folder = tmp_path / "hf"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "chat_template.jinja"):
        shutil.copyfile(DEMO / name, folder / name)
    (folder / "model.safetensors").touch()
    file = recipe_file(tmp_path, engine="trtllm", source="hf", context_length=512)
    file.write_text(f"{file.read_text()}\n{GOLDEN}")
    return file


def test_each_step_runs_once_and_a_failed_one_again(
    tmp_path: Path, recipe: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = site_in(tmp_path)
    monkeypatch.setenv("FAILS", "trtllm-build")
    with pytest.raises(BuildError, match=r"compile ended with status 1: out of memory; see .*log"):
        pipeline.build(recipe, site, Told())
    assert not (tmp_path / "models").exists()
    monkeypatch.delenv("FAILS")
    told = Told()
    pipeline.build(recipe, site, told)
    assert told.steps("kept") == ["fetch", "convert"]
    assert told.steps("done") == ["compile", "guided", "models", "verify", "publish"]
    assert told.notes == ["NVIDIA's Triton serves it: `docker compose --profile gpu up`"]
    tools = [line.split()[0] for line in calls.read_text().splitlines()]
    assert tools == ["python3", "trtllm-build", "trtllm-build", "python3", "python3"]


def test_what_was_built_is_published_where_the_configs_say(
    tmp_path: Path, recipe: Path, calls: Path
) -> None:
    pipeline.build(recipe, site_in(tmp_path), Told())
    engine = tmp_path / "models" / "mine_engine"
    config = (engine / "config.pbtxt").read_text()
    for key, path in (
        ("gpt_model_path", "engine"),
        ("xgrammar_tokenizer_info_path", "xgrammar_tokenizer_info.json"),
    ):
        assert f'key: "{key}" value: {{ string_value: "/models/mine_engine/1/{path}" }}' in config
        assert (engine / "1" / path).exists()
    assert (engine / "1" / "model" / "tokenizer.json").is_file()
    manifest = read(engine)
    assert manifest is not None
    assert manifest.tools["container"] == "26.07-trtllm-python-py3"
    assert [answer["answer"] for answer in manifest.golden] == ["Arr"]


def test_a_wrong_answer_of_the_engine_stops_the_build(
    tmp_path: Path, recipe: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSWER", "5")
    with pytest.raises(BuildError, match="golden prompt 1: the engine answers"):
        pipeline.build(recipe, site_in(tmp_path), Told())
    assert not (tmp_path / "models").exists()


def test_only_a_hugging_face_folder_is_built_for_a_gpu(tmp_path: Path, calls: Path) -> None:
    (tmp_path / "m.gguf").touch()
    file = recipe_file(tmp_path, engine="trtllm", context_length=64)
    with pytest.raises(BuildError, match="'trtllm' is built from a Hugging Face folder"):
        pipeline.build(file, site_in(tmp_path), Told())

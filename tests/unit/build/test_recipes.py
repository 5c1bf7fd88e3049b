"""A recipe is whole and possible, or every key that is wrong is named with its value."""

from __future__ import annotations

from pathlib import Path

import pytest
from build_site import RECIPES, recipe_file

from enginebuild.errors import BuildError
from enginebuild.recipe import load


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.toml")), ids=lambda file: file.stem)
def test_a_shipped_recipe_is_good_and_checks_its_model(file: Path) -> None:
    recipe = load(file)
    assert recipe.golden
    assert file.stem.endswith(recipe.engine.rpartition("-")[2]) or recipe.engine == "openvino"


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"colour": "red"}, "there is no key 'colour'"),
        ({"lora": {"rank": 8}}, "there is no key 'lora.rank'"),
        ({"name": "Upper"}, "name = 'Upper'"),
        ({"name": "../x"}, "name = '../x'"),
        ({"name": "my_engine"}, "name 'my_engine' ends like a part of a model"),
        ({"name": None}, "the key 'name' is missing"),
        ({"engine": "vllm"}, "engine = 'vllm'"),
        ({"precision": "int3"}, "precision = 'int3'"),
        ({"precision": "fp8"}, "precision 'fp8' is none of engine 'openvino'"),
        ({"tensor_parallelism": 2}, "tensor_parallelism 2: openvino has 1"),
        ({"max_batch": 0}, "max_batch = 0"),
        ({"engine": "trtllm"}, "context_length is needed"),
        ({"container": "a b;c"}, "container = 'a b;c'"),
        ({"lora": {"modules": ["q_proj", "z_proj"]}}, "lora.modules.1 = 'z_proj'"),
        ({"lora": {"config_columns": 5}}, "lora.config_columns = 5"),
        ({"tool_format": "xml"}, "tool_format = 'xml'"),
        ({"sha256": "123"}, "sha256 = '123'"),
    ],
)
def test_what_is_wrong_is_named_with_its_value(tmp_path: Path, keys, told: str) -> None:
    with pytest.raises(BuildError) as refused:
        load(recipe_file(tmp_path, **keys))
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_every_wrong_key_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"max_batch = -1.*'colour'"):
        load(recipe_file(tmp_path, colour="red", max_batch=-1))


@pytest.mark.parametrize("text", ["name = ", "\xff"])
def test_what_is_not_toml_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "r.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(BuildError, match="is not TOML"):
        load(file)


def test_a_recipe_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="cannot read the recipe"):
        load(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "golden",
    ['prompt = "a"', 'contains = "a"', 'prompt = "a"\ncontains = "a"\nexpect = "a"'],
)
def test_a_golden_prompt_has_one_question_and_one_answer(tmp_path: Path, golden: str) -> None:
    file = recipe_file(tmp_path)
    file.write_text(f"{file.read_text()}\n[[golden]]\n{golden}\n")
    with pytest.raises(BuildError, match="one of them"):
        load(file)

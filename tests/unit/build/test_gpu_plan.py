"""The plan of a TensorRT-LLM build is complete, closed and sized; its script runs step by step."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from build_site import RECIPES, Told, recipe_file, site_in
from google.protobuf import json_format, text_format
from gpu_stand_ins import write_tools
from tritonclient.grpc import model_config_pb2

from enginebuild import gpu_plan, pipeline
from enginebuild.errors import BuildError
from enginebuild.manifest import read
from enginebuild.recipe import load
from serving.contract.engine_kinds import EngineKind, lora_columns, mismatches, recognise

PLANS = Path(__file__).with_name("plans")
TRTLLM, LLMAPI = RECIPES / "llama-3.1-8b-trtllm.toml", RECIPES / "llama-3.1-8b-llmapi.toml"
SHAPE = {
    "layers": 2,
    "hidden": 64,
    "intermediate": 128,
    "heads": 4,
    "kv_heads": 2,
    "head_dim": 16,
    "vocab": 512,
}


def planned(folder: Path, recipe: Path) -> Path:
    return pipeline.plan(recipe, site_in(folder), Told(), folder / "plan")


def own_plan(folder: Path, **keys: Any) -> Path:
    content = {"engine": "trtllm", "source": "hf:org/m", "context_length": 128, "shape": SHAPE}
    return planned(folder, recipe_file(folder, **(content | keys)))


def engine_config(plan: Path, name: str) -> dict[str, Any]:
    text = (plan / "models" / f"{name}_engine" / "config.pbtxt").read_text()
    parsed = text_format.Parse(text, model_config_pb2.ModelConfig())
    return json_format.MessageToDict(parsed, preserving_proto_field_name=True)


def test_the_plan_of_the_8b_recipe_is_the_one_that_was_read_through(tmp_path: Path) -> None:
    plan = planned(tmp_path, TRTLLM)
    wanted = {p.name: p.read_text() for p in (PLANS / TRTLLM.stem).iterdir()}
    written = {name: (plan / name).read_text() for name in ("PLAN.md", "build.sh", "Dockerfile")}
    config = (plan / "models" / "llama-3.1-8b_engine" / "config.pbtxt").read_text()
    parameters = [line for line in config.splitlines(keepends=True) if line.startswith("param")]
    assert written | {"parameters.pbtxt": "".join(parameters)} == wanted


@pytest.mark.parametrize(
    ("recipe", "name", "kind"),
    [
        (TRTLLM, "llama-3.1-8b", EngineKind.TRTLLM),
        (LLMAPI, "llama-3.1-8b-llmapi", EngineKind.TRTLLM_LLMAPI),
    ],
)
def test_a_planned_engine_is_recognised_and_keeps_the_contract(
    tmp_path: Path, recipe: Path, name: str, kind: EngineKind
) -> None:
    plan = planned(tmp_path, recipe)
    config = engine_config(plan, name)
    assert (recognise(config), mismatches(config), lora_columns(config)) == (kind, (), 3)
    assert {path.name.removeprefix(name) for path in (plan / "models").iterdir()} == {
        *("", "_engine", "_ensemble", "_preprocessing", "_postprocessing")
    }
    code = plan / "models" / f"{name}_engine" / "1" / "model.py"
    assert code.exists() is (kind is EngineKind.TRTLLM_LLMAPI)


def test_the_manifest_of_a_plan_says_that_nothing_ran(tmp_path: Path) -> None:
    manifest = read(planned(tmp_path, TRTLLM))
    assert manifest is not None
    assert manifest.steps == []
    assert manifest.not_run == [
        "convert, compile, verify, serve: runs in NVIDIA's container on an NVIDIA GPU only"
    ]


def test_dora_adapters_get_a_fourth_column_in_engine_and_bls_model(tmp_path: Path) -> None:
    plan = own_plan(tmp_path, lora={"config_columns": 4})
    assert lora_columns(engine_config(plan, "mine")) == 4
    bls = (plan / "models" / "mine" / "config.pbtxt").read_text()
    assert 'name: "lora_config"\n  data_type: TYPE_INT32\n  dims: [ -1, 4 ]' in bls


def test_an_engine_without_lora_says_so(tmp_path: Path) -> None:
    plan = own_plan(tmp_path)
    assert lora_columns(engine_config(plan, "mine")) is None
    assert "--lora" not in (plan / "build.sh").read_text()


@pytest.mark.parametrize(
    ("precision", "line"),
    [
        ("as-is", "convert_checkpoint.py"),
        ("fp16", "--dtype float16"),
        ("int8", "--use_weight_only --weight_only_precision int8"),
        ("int4", "--qformat int4_awq"),
        ("fp8", "--kv_cache_dtype fp8"),
    ],
)
def test_every_precision_has_its_command(tmp_path: Path, precision: str, line: str) -> None:
    text = (own_plan(tmp_path, precision=precision) / "build.sh").read_text()
    assert line in text
    assert ("quantize.py" in text) is (precision in ("int4", "fp8"))


def test_several_gpus_share_heads_and_build_at_once(tmp_path: Path) -> None:
    plan = own_plan(tmp_path, tensor_parallelism=2)
    text = (plan / "build.sh").read_text()
    assert "--tp_size 2" in text
    assert "--workers 2" in text
    assert engine_config(plan, "mine")["parameters"]["gpu_device_ids"] == {"string_value": "0,1"}
    assert "TRTLLM_ORCHESTRATOR=1" in (plan / "PLAN.md").read_text()


def test_sizes_are_sums_that_can_be_checked_by_hand(tmp_path: Path) -> None:
    file = recipe_file(
        tmp_path,
        engine="trtllm",
        source="hf:org/m",
        context_length=128,
        shape=SHAPE,
        lora={"max_rank": 4, "max_adapters": 3, "modules": ["q_proj", "up_proj"]},
    )
    found = gpu_plan.write(load(file), file, None, tmp_path / "plan")
    layer = 2 * 64 * (64 + 32) + 3 * 64 * 128
    assert found.weights == 2 * 2 * layer + 2 * 2 * 512 * 64
    assert found.kv_bytes_per_token == 2 * 2 * 2 * 16 * 2
    assert found.lora is not None
    assert found.lora.adapter_bytes == 2 * 4 * 2 * ((64 + 64) + (64 + 128))
    assert found.lora.gpu_bytes == 3 * found.lora.adapter_bytes
    assert found.lora.host_bytes == 1 << 30


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"gpu": {"memory_gib": 1.5}}, r"gpu\.memory_gib = 1\.5: the weights take"),
        ({"gpu": {"memory_gib": 2.02}, "context_length": 900000}, r"context_length = 900000: the"),
        (
            {"gpu": {"memory_gib": 2.02, "kv_fraction": 0.99}, "lora": {"max_rank": 512}},
            r"lora\.max_adapters = 6: they take",
        ),
        ({"tensor_parallelism": 3}, "tensor_parallelism = 3: it must divide the 4 heads"),
        ({"shape": None}, r"needs? the shape of 'hf:org/m', which is not here: give a \[shape\]"),
        ({"engine": "openvino"}, "engine 'openvino' needs no plan"),
        ({"name": "demo"}, "name 'demo'"),
    ],
)
def test_what_would_not_fit_is_refused_with_the_numbers(tmp_path: Path, keys, told: str) -> None:
    with pytest.raises(BuildError, match=told):
        own_plan(tmp_path, **keys)
    assert not (tmp_path / "plan" / "PLAN.md").exists()


def test_a_checkpoint_that_is_here_tells_its_own_shape(tmp_path: Path) -> None:
    (tmp_path / "hf").mkdir()
    names = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads")
    keys = (*names, "num_key_value_heads", "head_dim", "vocab_size")
    config = dict(zip(keys, SHAPE.values(), strict=True))
    (tmp_path / "hf" / "config.json").write_text(json.dumps(config))
    own_plan(tmp_path, source="hf", shape=None)
    with pytest.raises(BuildError, match="the recipe's differs from that in"):
        own_plan(tmp_path, source="hf", shape=SHAPE | {"layers": 9})


def test_a_plan_takes_no_folder_with_other_things_in_it(tmp_path: Path) -> None:
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "thesis.txt").touch()
    with pytest.raises(BuildError, match="has other things in it"):
        planned(tmp_path, TRTLLM)
    assert (tmp_path / "plan" / "thesis.txt").exists()


def test_without_docker_and_gpu_a_build_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="no docker and no nvidia-smi; --plan writes"):
        pipeline.build(TRTLLM, site_in(tmp_path), Told())


def test_the_script_runs_each_step_once_and_goes_on_after_a_failure(tmp_path: Path) -> None:
    plan = planned(tmp_path, TRTLLM)
    tools = write_tools(tmp_path / "tools")
    work, calls = tmp_path / "work", tmp_path / "calls"
    work.mkdir()

    def run(fails: str) -> int:
        path = f"{tools}:{os.environ['PATH']}"
        own = {"WORK": str(work), "SOURCE": str(work / "fetch"), "CALLS": str(calls)}
        environment = os.environ | own | {"PATH": path, "FAILS": fails}
        line = ["bash", str(plan / "build.sh")]
        return subprocess.run(line, env=environment, check=False, capture_output=True).returncode

    assert run("trtllm-build") != 0
    assert not (work / "compile").exists()
    assert run("") == 0
    assert run("") == 0
    tools_called = [line.split()[0] for line in calls.read_text().splitlines()]
    assert tools_called == ["huggingface-cli", "python3", "trtllm-build", "trtllm-build", "python3"]
    version = work / "models" / "llama-3.1-8b_engine" / "1"
    built = {"engine/config.json", "model/config.json", "xgrammar_tokenizer_info.json"}
    assert all((version / name).is_file() for name in built)

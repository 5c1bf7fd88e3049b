"""The model repository in git is what the tensor tables say, whole and consistent."""

from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from enginebuild import repository
from enginebuild.repository import (
    Deployment,
    demo,
    embedding,
    entries,
    guard,
    write,
    write_embedding,
    write_external,
    write_guard,
)
from serving.contract.pbtxt import render

REPOSITORY = Path(__file__).parents[3] / "model_repository"
CONTENT = {"config.pbtxt", "model.py", ".keep"}


def files(folder: Path) -> dict[str, str]:
    found = (p for p in folder.rglob("*") if p.is_file() and p.name in CONTENT)
    return {str(p.relative_to(folder)): p.read_text() for p in found}


def test_the_repository_in_git_is_the_one_that_is_generated(tmp_path):
    write(demo(), tmp_path)
    write_embedding(tmp_path)
    write_guard(tmp_path)
    assert files(REPOSITORY) == files(tmp_path)


def test_every_model_of_the_repository_has_an_entry():
    names = {entry.name for entry in (*entries(demo()), embedding(), guard())}
    assert {p.name for p in REPOSITORY.iterdir()} == names


def test_the_engine_comes_before_what_calls_it():
    names = [entry.name for entry in entries(Deployment("x", "m.gguf"))]
    assert names[0] == "x_engine"
    assert names.index("x_ensemble") == len(names) - 1


def test_model_code_is_short_and_names_what_exists():
    for suffix in repository._EXPORTS:
        code = repository.model_code(suffix)
        module, _, name = repository._EXPORTS[suffix].partition(" import ")
        source = REPOSITORY.parent / (module.replace(".", "/") + ".py")
        assert f"class {name}:" in source.read_text()
        assert len(code.splitlines()) <= 60


def configs(deployment: Deployment):
    return {
        entry.name: text_format.Parse(render(entry), model_config_pb2.ModelConfig())
        for entry in entries(deployment)
    }


def test_every_step_of_the_ensemble_fits_its_model_and_its_neighbours():
    models = configs(Deployment("x", "m.gguf"))
    ensemble = models["x_ensemble"]
    known = {tensor.name: (tensor.data_type, tuple(tensor.dims)) for tensor in ensemble.input}
    for step in ensemble.ensemble_scheduling.step:
        model = models[step.model_name]
        inputs = {t.name: t for t in model.input}
        assert {name for name, t in inputs.items() if not t.optional} <= set(step.input_map)
        for name, outer in step.input_map.items():
            data_type, dims = known[outer]
            assert data_type == inputs[name].data_type, name
            assert len(dims) == len(inputs[name].dims), name
        outputs = {t.name: t for t in model.output}
        for name, outer in step.output_map.items():
            known[outer] = (outputs[name].data_type, tuple(outputs[name].dims))
    for tensor in ensemble.output:
        assert known[tensor.name] == (tensor.data_type, tuple(tensor.dims))


def test_an_input_of_the_ensemble_that_no_step_reads_would_be_ignored():
    ensemble = configs(Deployment("x", "m.gguf"))["x_ensemble"]
    read = {
        outer for step in ensemble.ensemble_scheduling.step for outer in step.input_map.values()
    }
    assert {tensor.name for tensor in ensemble.input} <= read


@pytest.mark.parametrize("name", ["", "A", "a b", "../x", "a/b", "-a", "a" * 64, 'a"', "é"])
def test_a_name_that_triton_or_a_url_cannot_carry_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="is no model name"):
        write(Deployment(name, "m.gguf"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_writing_again_replaces(tmp_path):
    write(Deployment("x", "a.gguf"), tmp_path)
    write(Deployment("x", "b.gguf"), tmp_path)
    texts = [text for name, text in files(tmp_path).items() if name.endswith("config.pbtxt")]
    assert len(texts) == 5
    assert not any("a.gguf" in text for text in texts)


def test_an_external_model_is_served_where_it_lies(tmp_path):
    source = tmp_path / 'it\'s "mine" \\ ünï.gguf'
    source.touch()
    write_external("x", source, tmp_path / "models")
    text = (tmp_path / "models" / "x" / "config.pbtxt").read_text()
    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    assert config.parameters["model"].string_value == str(source)


@pytest.mark.parametrize("name", ["missing.gguf", "missing", "file.bin", "folder"])
def test_what_is_no_model_is_refused(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.bin").touch()
    with pytest.raises(ValueError, match="neither a GGUF file nor a folder"):
        write_external("x", tmp_path / name, tmp_path / "models")
    assert not (tmp_path / "models").exists()

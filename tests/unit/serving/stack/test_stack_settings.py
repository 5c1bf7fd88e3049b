from pathlib import Path

import pytest

from gateway.settings import GatewaySettings
from serving.settings.base import BadSettings, load
from serving.stack.settings import StackSettings, TritonSettings, name_after


@pytest.mark.parametrize(
    ("settings", "variable", "value"),
    [
        (TritonSettings, "TRITON_HTTP_PORT", "abc"),
        (TritonSettings, "TRITON_GRPC_PORT", "65536"),
        (TritonSettings, "TRITON_URL", "http://triton:8001"),
        (StackSettings, "CONCH_STOP_S", "-1"),
        (StackSettings, "CONCH_MODEL_NAME", "../demo"),
    ],
)
def test_bad_value_is_one_line_with_variable_and_value(monkeypatch, settings, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadSettings) as caught:
        load(settings)
    line = str(caught.value)
    assert line.startswith(f"{variable}={value!r}: ")
    assert "\n" not in line


def test_empty_variable_means_the_default(monkeypatch):
    monkeypatch.setenv("TRITON_URL", "")
    monkeypatch.setenv("CONCH_VAR", "")
    assert load(TritonSettings).url is None
    assert load(StackSettings).var == Path("var")


def test_rule_about_several_variables_is_told_as_it_stands(monkeypatch):
    monkeypatch.setenv("GATEWAY_GOVERNED", "false")
    monkeypatch.delenv("GATEWAY_API_KEY", raising=False)
    monkeypatch.delenv("GATEWAY_API_KEY_FILE", raising=False)
    with pytest.raises(BadSettings, match=r"^GATEWAY_GOVERNED=false: set GATEWAY_API_KEY or"):
        load(GatewaySettings)


def test_given_value_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("CONCH_VAR", "elsewhere")
    assert load(StackSettings, var=Path("here")).var == Path("here")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/models/Qwen2.5-0.5B-Instruct.Q8_0.gguf", "qwen2-5-0-5b-instruct-q8-0"),
        ("/models/tiny", "tiny"),
        ("/models/.gguf", "gguf"),
        ("/models/___", "model"),
    ],
)
def test_model_is_named_after_its_file(path, name):
    assert name_after(Path(path)) == name


def test_served_name_is_given_or_from_the_path_or_the_demo(monkeypatch):
    for variable in ("CONCH_MODEL_PATH", "CONCH_MODEL_NAME"):
        monkeypatch.delenv(variable, raising=False)
    assert StackSettings().served_name == "demo"
    assert StackSettings(model_path=Path("/m/Big.gguf")).served_name == "big"
    assert StackSettings(model_path=Path("/m/Big.gguf"), model_name="mine").served_name == "mine"

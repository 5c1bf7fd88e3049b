"""What a Python model reads of its config, and what the environment says instead."""

import json
import sys
from importlib import import_module

import pytest
from triton_stand_in import TritonModelException, backend_module

MODULE = "serving.adapters.python_backend"


@pytest.fixture
def config(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", backend_module([]))
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    parameters = {"max_waiting": {"string_value": "7"}, "threads": {"string_value": "two"}}
    model = {"name": "demo", "parameters": parameters}
    args = {"model_config": json.dumps(model), "model_repository": "/m", "model_version": "1"}
    yield import_module(MODULE).ModelConfig(args)
    sys.modules.pop(MODULE, None)


def test_the_environment_wins_for_the_queue_alone(config, monkeypatch):
    assert (config.number("max_waiting", 1024), config.number("max_inflight", 64)) == (7, 64)
    monkeypatch.setenv("TRITON_MAX_WAITING", "9")
    monkeypatch.setenv("TRITON_MAX_INFLIGHT", "")
    monkeypatch.setenv("TRITON_HUNG_AFTER_S", "1")
    assert (config.number("max_waiting", 1024), config.number("max_inflight", 64)) == (9, 64)
    assert config.number("hung_after_s", 60) == 60


def test_what_is_no_number_is_named(config, monkeypatch):
    with pytest.raises(TritonModelException, match="parameter 'threads' of 'demo' is 'two'"):
        config.number("threads", 1)
    monkeypatch.setenv("TRITON_MAX_WAITING", "many")
    with pytest.raises(TritonModelException, match="TRITON_MAX_WAITING of 'demo' is 'many'"):
        config.number("max_waiting", 1024)

import socket
from pathlib import Path

import pytest

from serving.stack.errors import StackError
from serving.stack.layout import Layout
from serving.stack.plan import plan, read_settings
from serving.stack.settings import StackSettings


@pytest.fixture
def layout(tmp_path, monkeypatch):
    for variable in ("GATEWAY_API_KEY", "GATEWAY_API_KEY_FILE", "TRITON_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GATEWAY_WORKERS", "2")
    used = []
    for variable in ("TRITON_HTTP_PORT", "TRITON_GRPC_PORT", "TRITON_METRICS_PORT", "GATEWAY_PORT"):
        used.append(socket.create_server(("127.0.0.1", 0)))
        monkeypatch.setenv(variable, str(used[-1].getsockname()[1]))
    for server in used:
        server.close()
    (tmp_path / "models").mkdir()
    layout = Layout(tmp_path / "var")
    layout.prepare()
    return layout


def planned(layout, **settings):
    stack = StackSettings(model_repository=layout.root.parent / "models", **settings)
    return plan(read_settings(layout, stack), layout, on_load=lambda _: None)


def test_triton_stops_last_and_workers_have_metrics_ports_of_their_own(layout, monkeypatch):
    monkeypatch.setenv("GATEWAY_METRICS_PORT", "18981")
    (triton,), workers = planned(layout).tiers
    assert triton.name == "triton"
    assert [worker.name for worker in workers] == ["gateway", "gateway-1"]
    assert [w.environment["GATEWAY_METRICS_PORT"] for w in workers] == ["18981", "18982"]
    assert workers[0].environment["GATEWAY_TRITON_URL"].endswith(str(triton.ports["grpc"]))
    key_file = Path(workers[0].environment["GATEWAY_API_KEY_FILE"])
    assert key_file.read_text().strip() == planned(layout).endpoint.api_key


def test_given_triton_is_used_and_not_started(layout, monkeypatch):
    monkeypatch.setenv("TRITON_URL", "triton.example:8001")
    (workers,) = planned(layout).tiers
    assert workers[0].environment["GATEWAY_TRITON_URL"] == "triton.example:8001"
    assert planned(layout).triton_http is None


def test_given_key_is_used_and_none_is_made(layout, monkeypatch):
    monkeypatch.setenv("GATEWAY_API_KEY", "mine")
    assert planned(layout).endpoint.api_key == "mine"
    assert not layout.api_key_file.exists()


def test_published_models_are_served_too(layout):
    layout.models.mkdir()
    (triton,), _ = planned(layout).tiers
    folders = [flag for flag in triton.command if flag.startswith("--model-repository=")]
    assert folders[1] == f"--model-repository={layout.models}"


def test_a_given_model_is_served_only_by_the_start_it_was_given_to(layout):
    def folders(**settings):
        (triton,), _ = planned(layout, **settings).tiers
        return [flag for flag in triton.command if flag.startswith("--model-repository=")]

    layout.given_models.mkdir()
    assert folders(model_path="m.gguf")[-1] == f"--model-repository={layout.given_models}"
    assert all(str(layout.given_models) not in flag for flag in folders())


def test_missing_repository_is_told_with_its_variable(layout):
    (layout.root.parent / "models").rmdir()
    with pytest.raises(StackError, match="CONCH_MODEL_REPOSITORY="):
        planned(layout)


def test_taken_port_is_told_with_its_variable(layout, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("TRITON_METRICS_PORT", str(server.getsockname()[1]))
        with pytest.raises(StackError, match="TRITON_METRICS_PORT"):
            planned(layout)


def test_address_for_clients_is_one_they_can_reach(layout, monkeypatch):
    monkeypatch.setenv("GATEWAY_HOST", "0.0.0.0")
    assert planned(layout).endpoint.base_url.startswith("http://127.0.0.1:")

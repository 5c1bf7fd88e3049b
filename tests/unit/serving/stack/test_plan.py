"""What is started, with what it is told, under which settings."""

import socket
from pathlib import Path

import pytest

from gateway.policy_file import NAME as POLICY
from serving.contract.api_keys import parse
from serving.settings.base import BadSettings
from serving.stack.errors import StackError
from serving.stack.inputs import read_inputs
from serving.stack.layout import Layout
from serving.stack.plan import plan
from serving.stack.postgres_home import remove_home
from serving.stack.settings import StackSettings

PORTS = (
    *("TRITON_HTTP_PORT", "TRITON_GRPC_PORT", "TRITON_METRICS_PORT"),
    *("GATEWAY_PORT", "GATEWAY_GRPC_PORT", "CONTROL_PORT"),
)
UNSET = (
    *("GATEWAY_API_KEY", "GATEWAY_API_KEY_FILE", "TRITON_URL", "REDIS_URL", "DATABASE_URL"),
    *("CONCH_KEY_PEPPER", "CONCH_GRANT_KEY", "CONCH_SECRETS_DIR", "CONTROL_DEFAULT_KEY_FILE"),
)


@pytest.fixture
def layout(tmp_path, monkeypatch):
    for variable in UNSET:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GATEWAY_WORKERS", "2")
    used = []
    for variable in PORTS:
        used.append(socket.create_server(("127.0.0.1", 0)))
        monkeypatch.setenv(variable, str(used[-1].getsockname()[1]))
    for server in used:
        server.close()
    (tmp_path / "models").mkdir()
    layout = Layout(tmp_path / "var")
    layout.prepare()
    yield layout
    remove_home(layout)


def planned(layout, **settings):
    stack = StackSettings(model_repository=layout.root.parent / "models", **settings)
    return plan(read_inputs(layout, stack), layout, on_load=lambda _: None)


def parts(layout, **settings):
    return {part.name: part for tier in planned(layout, **settings).tiers for part in tier}


def test_gateways_stop_first_and_stores_last(layout):
    tiers = [[part.name for part in tier] for tier in planned(layout).tiers]
    assert tiers == [
        ["redis", "postgres"],
        ["control-plane", "triton"],
        ["gateway", "gateway-1"],
    ]


def test_workers_have_metrics_ports_of_their_own(layout, monkeypatch):
    monkeypatch.setenv("GATEWAY_METRICS_PORT", "18981")
    there = parts(layout)
    workers = [there["gateway"], there["gateway-1"]]
    assert [w.environment["GATEWAY_METRICS_PORT"] for w in workers] == ["18981", "18982"]
    assert workers[0].environment["GATEWAY_TRITON_URL"].endswith(str(there["triton"].ports["grpc"]))


def test_every_part_is_told_its_own_secrets_by_file_and_no_others(layout):
    told = {
        name: {key for key in part.environment if key.startswith(("CONCH_", "REDIS_", "DATABASE_"))}
        for name, part in parts(layout).items()
    }
    files = {"CONCH_KEY_PEPPER_FILE", "CONCH_GRANT_KEY_FILE", "REDIS_PASSWORD_FILE"}
    assert told["control-plane"] > files | {"DATABASE_PASSWORD_FILE", "DATABASE_URL", "REDIS_URL"}
    assert told["gateway"] > files | {"REDIS_URL"}
    assert not {name for name in told["gateway"] if name.startswith("DATABASE_")}
    assert told["triton"] & files == {"CONCH_GRANT_KEY_FILE"}
    assert not (told["redis"] | told["postgres"]) & files


def test_the_control_plane_is_told_both_keys_and_the_endpoint_has_the_default_one(layout):
    environment = parts(layout)["control-plane"].environment
    admin = Path(environment["CONTROL_ADMIN_KEY_FILE"]).read_text().strip()
    default = Path(environment["CONTROL_DEFAULT_KEY_FILE"]).read_text().strip()
    assert planned(layout).endpoint.api_key == default
    assert parse(admin) is not None
    assert parse(default) not in (None, parse(admin))


def test_gateways_keep_their_state_below_var(layout):
    assert parts(layout)["gateway"].environment["GATEWAY_STATE_DIR"] == str(layout.gateway)


def test_stores_that_are_given_are_used_and_none_is_started(layout, monkeypatch):
    monkeypatch.setenv("REDIS_URL", "rediss://redis.example")
    monkeypatch.setenv("REDIS_PASSWORD", "sesame")
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example/conch?sslmode=verify-full")
    there = parts(layout)
    assert there.keys() == {"control-plane", "triton", "gateway", "gateway-1"}
    control = there["control-plane"].environment
    assert control["DATABASE_URL"] == "postgresql://db.example/conch?sslmode=verify-full"
    assert there["gateway"].environment["REDIS_PASSWORD"] == control["REDIS_PASSWORD"] == "sesame"
    assert not layout.postgres.exists()
    assert not layout.secret("redis_password").exists()


def test_a_store_that_is_started_has_the_password_made_for_it(layout, monkeypatch):
    monkeypatch.setenv("REDIS_PASSWORD", "of another one")
    assert "REDIS_PASSWORD" not in parts(layout)["gateway"].environment


def test_secrets_of_the_operator_are_used_and_none_is_made(layout, monkeypatch, tmp_path):
    monkeypatch.setenv("CONCH_KEY_PEPPER", "p" * 32)
    (tmp_path / "grant").write_text("g" * 32)
    monkeypatch.setenv("CONCH_GRANT_KEY_FILE", str(tmp_path / "grant"))
    there = parts(layout)
    assert there["gateway"].environment["CONCH_KEY_PEPPER"] == "p" * 32
    assert there["triton"].environment["CONCH_GRANT_KEY_FILE"] == str(tmp_path / "grant")
    assert not layout.secret("key_pepper").exists()
    assert not layout.secret("grant_key").exists()


def test_a_secret_of_the_operator_that_is_too_short_is_refused_at_once(layout, monkeypatch):
    monkeypatch.setenv("CONCH_GRANT_KEY", "short")
    with pytest.raises(BadSettings, match=r"^CONCH_GRANT_KEY=\(hidden\): "):
        planned(layout)


def test_a_lost_password_of_a_database_that_is_there_is_not_made_anew(layout):
    planned(layout)
    (layout.postgres.resolve() / "postgres" / "data").mkdir(parents=True)
    (layout.postgres / "data").mkdir()
    layout.secret("postgres_password").unlink()
    with pytest.raises(StackError, match="postgres_password is not there: bring it back"):
        planned(layout)


def test_with_a_policy_on_disk_gateways_need_no_control_plane_to_come_up(layout):
    def vital() -> set[str]:
        return {name for name, part in parts(layout).items() if part.is_vital}

    assert {"control-plane", "postgres"} <= vital()
    (layout.gateway / POLICY).touch()
    assert vital() == {"redis", "triton", "gateway", "gateway-1"}


def test_given_triton_is_used_and_not_started(layout, monkeypatch):
    monkeypatch.setenv("TRITON_URL", "triton.example:8001")
    monkeypatch.setenv("CONCH_GRANT_KEY", "g" * 32)
    there = parts(layout)
    assert "triton" not in there
    assert there["gateway"].environment["GATEWAY_TRITON_URL"] == "triton.example:8001"
    assert planned(layout).triton_http is None


def test_given_triton_has_to_share_its_grant_key(layout, monkeypatch):
    monkeypatch.setenv("TRITON_URL", "triton.example:8001")
    with pytest.raises(StackError, match=r"TRITON_URL=triton.example:8001: .*CONCH_GRANT_KEY_FILE"):
        planned(layout)
    monkeypatch.setenv("GATEWAY_GOVERNED", "false")
    assert "triton" not in parts(layout)


def test_given_key_is_used_and_none_is_made(layout, monkeypatch, tmp_path):
    (tmp_path / "mine").write_text("mine\n")
    monkeypatch.setenv("CONTROL_DEFAULT_KEY_FILE", str(tmp_path / "mine"))
    assert planned(layout).endpoint.api_key == "mine"
    assert not layout.api_key_file.exists()


def test_published_models_are_served_too(layout):
    layout.models.mkdir(exist_ok=True)
    command = parts(layout)["triton"].command
    folders = [flag for flag in command if flag.startswith("--model-repository=")]
    assert folders[1] == f"--model-repository={layout.models}"


def test_a_given_model_is_served_only_by_the_start_it_was_given_to(layout):
    def folders(**settings):
        command = parts(layout, **settings)["triton"].command
        return [flag for flag in command if flag.startswith("--model-repository=")]

    layout.given_models.mkdir()
    assert folders(model_path="m.gguf")[-1] == f"--model-repository={layout.given_models}"
    assert all(str(layout.given_models) not in flag for flag in folders())


def test_missing_repository_is_told_with_its_variable(layout):
    (layout.root.parent / "models").rmdir()
    with pytest.raises(StackError, match="CONCH_MODEL_REPOSITORY="):
        planned(layout)


@pytest.mark.parametrize("variable", ["TRITON_METRICS_PORT", "CONTROL_PORT", "GATEWAY_PORT"])
def test_taken_port_is_told_with_its_variable(layout, monkeypatch, variable):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv(variable, str(server.getsockname()[1]))
        with pytest.raises(StackError, match=variable):
            planned(layout)


def test_addresses_for_clients_are_ones_they_can_reach(layout, monkeypatch):
    monkeypatch.setenv("GATEWAY_HOST", "0.0.0.0")
    monkeypatch.setenv("CONTROL_HOST", "::")
    endpoint = planned(layout).endpoint
    assert endpoint.base_url.startswith("http://127.0.0.1:")
    assert endpoint.control_url.startswith("http://[::1]:")

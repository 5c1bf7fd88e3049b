"""`docker-compose.yml` fits the project: what it starts, sets, mounts and publishes."""

import importlib.util
import re
import subprocess
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic_settings import BaseSettings

from gateway.settings import GatewaySettings
from serving.cli.main import app
from serving.stack.settings import StackSettings, TritonSettings, WorkerSettings, variable

ROOT = Path(__file__).parents[3]
SETTINGS: tuple[type[BaseSettings], ...] = (
    GatewaySettings,
    StackSettings,
    TritonSettings,
    WorkerSettings,
)
NVIDIAS_OWN = {"TRTLLM_ORCHESTRATOR"}
PROFILES = ("cpu", "gpu")
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
FILES_OF_THE_OPERATOR = {"./var/models", "./var/secrets/api_key"}


def compose(**variables: str) -> dict[str, Any]:
    """The file with `variables` put in; every variable in it has to have a default."""
    text = (ROOT / "docker-compose.yml").read_text()
    filled = VARIABLE.sub(lambda match: variables.get(match[1], match[2]), text)
    assert "${" not in filled
    return yaml.safe_load(filled)


SERVICES: dict[str, dict[str, Any]] = compose()["services"]


@pytest.fixture(params=sorted(SERVICES))
def service(request: pytest.FixtureRequest) -> dict[str, Any]:
    return SERVICES[request.param]


def of_profile(profile: str) -> dict[str, dict[str, Any]]:
    return {name: given for name, given in SERVICES.items() if profile in given["profiles"]}


def addresses(services: dict[str, dict[str, Any]]) -> set[str]:
    """The names under which services find one another."""
    found = set(services)
    for given in services.values():
        networks = given["networks"]
        if isinstance(networks, dict):
            found.update(alias for network in networks.values() for alias in network["aliases"])
    return found


def source_and_rest(volume: str | dict[str, Any]) -> tuple[str, bool]:
    """The source of a volume, and whether it is read-only."""
    if isinstance(volume, dict):
        return volume["source"], volume["read_only"]
    source, _, rest = volume.partition(":")
    return source, rest.endswith(":ro")


def test_each_profile_is_one_triton_the_gateway_and_prometheus() -> None:
    for profile in PROFILES:
        assert set(of_profile(profile)) == {f"triton-{profile}", "gateway", "prometheus"}


def test_commands_are_the_projects_own() -> None:
    conch = typer.main.get_command(app)
    commands = {name: given["command"] for name, given in SERVICES.items()}
    assert commands["gateway"][:2] == ["python", "-m"]
    assert importlib.util.find_spec(f"{commands['gateway'][2]}.__main__")
    assert commands["triton-cpu"][0] == "conch"
    assert commands["triton-cpu"][1] in conch.list_commands(typer.Context(conch))
    assert commands["triton-gpu"][0] == "tritonserver"


def test_environment_holds_only_settings(service: dict[str, Any]) -> None:
    known = {variable(settings, field) for settings in SETTINGS for field in settings.model_fields}
    assert set(service.get("environment", ())) <= known | NVIDIAS_OWN


def test_settings_take_the_values(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in SERVICES["triton-cpu"]["environment"].items():
        monkeypatch.setenv(name, value)
    assert StackSettings().served_name == "demo"
    assert TritonSettings().http_port == 8000
    for name, value in SERVICES["gateway"]["environment"].items():
        monkeypatch.setenv(name, value)
    key = tmp_path / "api_key"
    key.write_text("ck_live_secret\n")
    monkeypatch.setenv("GATEWAY_API_KEY_FILE", str(key))
    assert GatewaySettings().key() == "ck_live_secret"


@pytest.mark.parametrize("profile", PROFILES)
def test_the_gateway_finds_triton(profile: str) -> None:
    host, _, port = SERVICES["gateway"]["environment"]["GATEWAY_TRITON_URL"].partition(":")
    assert host in addresses(of_profile(profile))
    assert int(port) == TritonSettings.model_fields["grpc_port"].default
    assert SERVICES["gateway"]["depends_on"][f"triton-{profile}"]["required"] is False


@pytest.mark.parametrize("profile", PROFILES)
def test_prometheus_scrapes_triton_and_gateway(profile: str) -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    targets = {
        job["job_name"]: target
        for job in config["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    }
    ports = {
        "gateway": GatewaySettings.model_fields["metrics_port"].default,
        "triton": TritonSettings.model_fields["metrics_port"].default,
    }
    assert targets == {name: f"{name}:{port}" for name, port in ports.items()}
    assert ports.keys() <= addresses(of_profile(profile))


def test_only_gateway_and_prometheus_are_published_and_on_the_loopback() -> None:
    published = {name: given["ports"] for name, given in SERVICES.items() if "ports" in given}
    assert published == {
        "gateway": ["127.0.0.1:8080:8080"],
        "prometheus": ["127.0.0.1:9090:9090"],
    }
    for (port,) in published.values():
        assert ip_address(port.partition(":")[0]).is_loopback


def test_triton_is_on_the_internal_network_only() -> None:
    assert compose()["networks"]["inside"] == {"internal": True}
    for profile in PROFILES:
        assert set(SERVICES[f"triton-{profile}"]["networks"]) == {"inside"}


def test_no_secret_is_in_the_file() -> None:
    assert compose()["secrets"] == {"api_key": {"file": "./var/secrets/api_key"}}
    assert SERVICES["gateway"]["environment"]["GATEWAY_API_KEY_FILE"] == "/run/secrets/api_key"
    assert not [name for given in SERVICES.values() for name in given if name == "env_file"]
    assert "GATEWAY_API_KEY" not in SERVICES["gateway"]["environment"]


def test_mounted_paths_are_in_git_or_the_operators(service: dict[str, Any]) -> None:
    for volume in service.get("volumes", ()):
        source, is_read_only = source_and_rest(volume)
        if not source.startswith("."):
            assert source in compose()["volumes"]
            continue
        assert is_read_only
        assert source in FILES_OF_THE_OPERATOR or is_in_git(source)


def is_in_git(path: str) -> bool:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", path]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True)
    # Outside a clone (an unpacked archive) being there is all that can be asked.
    return bool(done.stdout.strip()) if done.returncode == 0 else (ROOT / path).exists()


def test_images_are_pinned(service: dict[str, Any]) -> None:
    name, _, tag = service["image"].rpartition(":")
    assert name
    assert re.search(r"\d+\.\d+", tag)


def test_images_of_our_own_are_built_from_a_dockerfile(service: dict[str, Any]) -> None:
    if service["image"].startswith("conch"):
        assert (ROOT / service["build"]["dockerfile"]).is_file()


def test_every_service_is_restarted_watched_and_without_privileges(service: dict[str, Any]) -> None:
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


def test_root_file_systems_are_read_only_but_nvidias() -> None:
    writable = [name for name, given in SERVICES.items() if not given.get("read_only")]
    assert writable == ["triton-gpu"]


def test_the_gpu_service_has_what_nvidia_asks_for() -> None:
    gpu = SERVICES["triton-gpu"]
    assert gpu["shm_size"] == "2g"
    assert gpu["ulimits"] == {"memlock": -1, "stack": 67108864}
    assert gpu["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


def test_the_chosen_model_is_loaded_engine_first() -> None:
    gpu = compose(CONCH_MODEL_NAME="llama")["services"]["triton-gpu"]
    loads = [word for word in gpu["command"] if word.startswith("--load-model=")]
    assert loads == ["--load-model=llama_engine", "--load-model=llama"]
    assert gpu["environment"]["CONCH_MODEL_NAME"] == "llama"


def test_programs_in_health_checks_compile() -> None:
    for given in SERVICES.values():
        command = given["healthcheck"]["test"][1:]
        if command[0] == "python3":
            compile(command[2], "healthcheck", "exec")

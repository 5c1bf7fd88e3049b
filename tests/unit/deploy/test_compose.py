"""`docker-compose.yml` fits the project: what it starts, sets, mounts and publishes."""

import importlib.util
import re
import subprocess
from collections.abc import Callable, ItemsView
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from control_plane.settings import ControlSettings
from gateway.settings import GatewaySettings
from serving.cli.main import app
from serving.settings.base import load
from serving.settings.secret_files import read_secret
from serving.settings.stores import DatabaseSettings, RedisSettings
from serving.settings.trust import TrustSettings
from serving.stack.catalogue import known_variables
from serving.stack.redis import DURABLE, executable
from serving.stack.settings import StackSettings, TritonSettings

ROOT = Path(__file__).parents[3]
IMAGES_OWN = {
    "triton-gpu": {"TRTLLM_ORCHESTRATOR"},
    "postgres": {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD_FILE"},
}
SECRETS = {"admin_key", "api_key", "grant_key", "key_pepper", "postgres_password", "redis_password"}
PUBLISHED = {
    "control-plane": ["127.0.0.1:8090:8090"],
    "gateway": ["127.0.0.1:8080:8080", "127.0.0.1:8085:8085"],
    "prometheus": ["127.0.0.1:9090:9090"],
}
PROFILES = ("cpu", "gpu")
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
FILES_OF_THE_OPERATOR = {"./var/models"}


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


@pytest.fixture
def mounted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Sets what a service is told, its secrets being files of 32 letters."""

    def mount(name: str) -> None:
        for variable, value in SERVICES[name]["environment"].items():
            secret = value.removeprefix("/run/secrets/")
            if secret != value:
                assert secret in SERVICES[name]["secrets"]
                (tmp_path / secret).write_text(f"{secret:x<32}\n")
            monkeypatch.setenv(variable, value if secret == value else str(tmp_path / secret))

    return mount


def test_each_profile_is_one_triton_and_what_is_around_it() -> None:
    around = {"control-plane", "gateway", "postgres", "prometheus", "redis"}
    for profile in PROFILES:
        assert set(of_profile(profile)) == {f"triton-{profile}", *around}


def test_commands_are_the_projects_own() -> None:
    conch = typer.main.get_command(app)
    commands = {name: given.get("command") for name, given in SERVICES.items()}
    for name in ("gateway", "control-plane"):
        assert commands[name][:2] == ["python", "-m"]
        assert importlib.util.find_spec(f"{commands[name][2]}.__main__")
    assert commands["triton-cpu"][0] == "conch"
    assert commands["triton-cpu"][1] in conch.list_commands(typer.Context(conch))
    assert commands["triton-gpu"][0] == "tritonserver"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_environment_holds_only_settings(name: str) -> None:
    told = set(SERVICES[name].get("environment", ()))
    assert told <= known_variables() | IMAGES_OWN.get(name, set())


def test_triton_takes_what_it_is_told(mounted: Callable[[str], None]) -> None:
    mounted("triton-cpu")
    assert StackSettings().served_name == "demo"
    assert TritonSettings().http_port == 8000
    assert read_secret("CONCH_GRANT_KEY")


def test_the_gateway_takes_what_it_is_told(mounted: Callable[[str], None]) -> None:
    mounted("gateway")
    assert load(GatewaySettings).governed
    assert load(RedisSettings).address.hosts == (("redis", 6379),)
    assert load(TrustSettings)


def test_the_control_plane_takes_what_it_is_told(mounted: Callable[[str], None]) -> None:
    mounted("control-plane")
    assert load(ControlSettings).admin_key_file
    assert load(DatabaseSettings).url == "postgresql://conch@postgres:5432/conch"
    assert load(DatabaseSettings).password
    assert load(TrustSettings)


def test_gateways_and_triton_sign_and_check_with_the_same_key() -> None:
    for name in ("gateway", "triton-cpu", "triton-gpu"):
        assert SERVICES[name]["environment"]["CONCH_GRANT_KEY_FILE"] == "/run/secrets/grant_key"


def test_redis_keeps_what_it_acknowledged_and_asks_for_the_password(tmp_path: Path) -> None:
    """Its program, with the server of the wheel in place of the image's."""
    (tmp_path / "redis_password").write_text("sesame\n")
    (tmp_path / "valkey-server").symlink_to(executable())
    program = SERVICES["redis"]["command"][2].replace("$$", "$")
    program = program.replace("/run/secrets", str(tmp_path)).replace("/data", str(tmp_path))
    program = program.replace("END\n", "END\nport 0\nunixsocket redis.sock\n", 1)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    line = ["sh", "-ec", program]
    with subprocess.Popen(line, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL) as server:
        try:
            assert _config_of(tmp_path / "redis.sock") >= DURABLE.items()
        finally:
            server.terminate()


def _config_of(socket: Path) -> ItemsView[str, str]:
    retry = Retry(ConstantBackoff(0.02), retries=250)
    with Redis(unix_socket_path=str(socket), password="sesame", retry=retry) as client:
        found: dict[str, str] = client.config_get("*")
    return {_text(name): _text(value) for name, value in found.items()}.items()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize("profile", PROFILES)
def test_the_gateway_finds_triton(profile: str) -> None:
    host, _, port = SERVICES["gateway"]["environment"]["GATEWAY_TRITON_URL"].partition(":")
    assert host in addresses(of_profile(profile))
    assert int(port) == TritonSettings.model_fields["grpc_port"].default
    assert SERVICES["gateway"]["depends_on"][f"triton-{profile}"]["required"] is False


@pytest.mark.parametrize("profile", PROFILES)
def test_prometheus_scrapes_all_that_is_ours(profile: str) -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    targets = {
        job["job_name"]: target
        for job in config["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    }
    ports = {
        "gateway": GatewaySettings.model_fields["metrics_port"].default,
        "control-plane": ControlSettings.model_fields["port"].default,
        "triton": TritonSettings.model_fields["metrics_port"].default,
    }
    assert targets == {name: f"{name}:{port}" for name, port in ports.items()}
    assert ports.keys() <= addresses(of_profile(profile))


def test_only_what_asks_for_a_key_and_prometheus_are_published_and_on_the_loopback() -> None:
    published = {name: given["ports"] for name, given in SERVICES.items() if "ports" in given}
    assert published == PUBLISHED
    for ports in published.values():
        assert all(ip_address(port.partition(":")[0]).is_loopback for port in ports)


def test_triton_and_the_stores_are_on_internal_networks_only_and_not_on_the_same() -> None:
    for network in ("inside", "stores"):
        assert compose()["networks"][network] == {"internal": True}
    for profile in PROFILES:
        assert set(SERVICES[f"triton-{profile}"]["networks"]) == {"inside"}
    for store in ("postgres", "redis"):
        assert SERVICES[store]["networks"] == ["stores"]


def test_who_needs_a_store_is_on_its_network() -> None:
    reachable = {name for name, given in SERVICES.items() if "stores" in given["networks"]}
    assert reachable == {"control-plane", "gateway", "postgres", "redis"}


def test_only_the_control_plane_knows_of_the_database() -> None:
    for name, given in SERVICES.items():
        told = given.get("environment", {})
        assert (name == "control-plane") == ("DATABASE_URL" in told)


def test_no_secret_is_in_the_file() -> None:
    files = {name: secret["file"] for name, secret in compose()["secrets"].items()}
    assert files == {name: f"./var/secrets/{name}" for name in SECRETS}
    assert compose(CONCH_SECRETS="/run/k")["secrets"]["api_key"] == {"file": "/run/k/api_key"}
    for given in SERVICES.values():
        assert "env_file" not in given
        told = given.get("environment", {})
        assert not [name for name in told if name.endswith(("KEY", "PASSWORD", "PEPPER"))]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_gets_the_secrets_it_is_told_of_and_no_others(name: str) -> None:
    given = SERVICES[name]
    named = set(
        re.findall(r"/run/secrets/(\w+)", str([given.get("environment"), given.get("command")]))
    )
    assert set(given.get("secrets", ())) == named
    assert given["group_add"] == ["1000"]


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

"""What `conch` says and does about a stack that is running."""

import shutil
import stat
import subprocess

import httpx
import pytest

PARTS = ("redis", "postgres", "control-plane", "triton", "gateway")
SECRETS = {"admin_key", "api_key", "grant_key", "key_pepper", "postgres_password", "redis_password"}


def test_printed_curl_line_streams_an_answer(stack):
    line = next(line for line in stack.printed.splitlines() if "curl -N" in line)
    command = line.partition("try")[2].strip()
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    events = [line for line in done.stdout.splitlines() if line.startswith("data: ")]
    assert len(events) > 2, done.stderr
    assert events[-1] == "data: [DONE]"


def test_env_file_is_all_that_a_client_needs_and_private(stack):
    path = stack.var / "conch.env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().splitlines() == [
        f"OPENAI_BASE_URL={stack.base_url}",
        f"OPENAI_API_KEY={stack.api_key}",
        f"CONCH_MODEL={stack.model}",
        f"CONCH_CONTROL_URL={stack.control_url}",
    ]


def test_key_is_printed_with_its_limits_and_the_owners_once(stack):
    owner = (stack.var / "secrets" / "admin_key").read_text().strip()
    assert f"{stack.api_key} (no limits)" in stack.printed
    assert stack.control_url in stack.printed
    assert stack.printed.count(owner) == 1
    assert owner not in (stack.var / "log" / "supervisor.log").read_text()


def test_secrets_are_private_and_on_no_command_line_and_in_no_log(stack):
    files = list((stack.var / "secrets").iterdir())
    assert {path.name for path in files} == SECRETS
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    told = "\n".join(stack.processes())
    logged = "".join(path.read_text() for path in (stack.var / "log").iterdir())
    for path in files:
        assert path.read_text().strip() not in told + logged


def test_status_lists_parts_and_models(stack):
    done = stack.conch("status")
    assert done.returncode == 0, done.stdout
    for name in (
        "redis",
        "postgres",
        "control-plane",
        "triton",
        "gateway",
        "demo",
        "demo_engine",
        "demo_ensemble",
        stack.base_url,
    ):
        assert name in done.stdout


def test_logs_show_every_part(stack):
    lines = stack.conch("logs", "-n", "1000").stdout.splitlines()
    assert {line.partition(" | ")[0] for line in lines} >= {"supervisor", *PARTS}
    assert any("successfully loaded 'demo'" in line for line in lines)


def test_second_start_is_refused_in_one_line(stack):
    done = stack.conch("up", "--detach")
    assert done.returncode == 1
    assert "a stack is already running" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("variable", ["GATEWAY_PORT", "TRITON_GRPC_PORT", "CONTROL_PORT"])
def test_taken_port_is_told_with_its_variable(stack, make_stack, variable):
    taken = stack.variables[variable]
    done = make_stack(**{variable: taken}).conch("up")
    assert done.returncode == 1
    assert f"port {taken} on 127.0.0.1" in done.stderr
    assert done.stderr.strip().endswith(variable)


def test_given_triton_is_used_and_not_started(stack, make_stack):
    other = make_stack(
        TRITON_URL=stack.triton_grpc,
        CONCH_GRANT_KEY_FILE=str(stack.var / "secrets" / "grant_key"),
        GATEWAY_WORKERS="2",
    )
    other.up()
    started = {part["name"] for part in other.state()["parts"]}
    assert started == {*PARTS, "gateway-1"} - {"triton"}
    with httpx.Client(headers=other.authorization, trust_env=False) as client:
        assert client.get(f"{other.base_url}/models").status_code == 200
    other.down()
    assert stack.conch("status").returncode == 0


def test_model_that_fails_to_load_is_told_with_tritons_reason(make_stack, tmp_path):
    broken = make_stack(CONCH_MODEL_REPOSITORY=str(tmp_path / "models"))
    shutil.copytree("model_repository", tmp_path / "models")
    (tmp_path / "models" / "demo" / "1" / "model.py").write_text("raise OSError('no such moon')")
    done = broken.conch("up", "--detach")
    assert done.returncode == 1
    assert "model 'demo' fails to load: " in done.stderr
    assert "no such moon" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert broken.processes() == []

"""The commands that speak to the control plane, against a real one."""

import json

import pytest
from control_process import environment_of, running, url_of
from typer.testing import CliRunner

from serving.cli.main import app
from serving.contract.api_keys import parse


@pytest.fixture(scope="module")
def environment(module_database, redis_server, tmp_path_factory):
    environment = environment_of(module_database, redis_server, tmp_path_factory.mktemp("cli"))
    with running(environment):
        yield environment


@pytest.fixture
def conch(environment, tmp_path, monkeypatch):
    """Runs a command; its output, and with `--json` what that says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONCH_CONTROL_URL", url_of(environment))
    monkeypatch.setenv("CONCH_ADMIN_KEY_FILE", environment["CONTROL_ADMIN_KEY_FILE"])
    monkeypatch.setenv("COLUMNS", "250")

    def run(*arguments, code=0, stdin=None):
        result = CliRunner().invoke(app, arguments, input=stdin)
        assert result.exit_code == code, result.output
        return json.loads(result.output) if "--json" in arguments and not code else result.output

    return run


def test_a_tenant_is_made_limited_and_switched_off(conch):
    text = conch("tenants", "create", "acme", "--name", "Acme", "--requests-per-minute", "60",
                 "--budget", "12.50")  # fmt: skip
    assert "60 requests/min, $12.50/month" in text
    made = conch("tenants", "limit", "acme", "--budget", "none", "--tokens-per-day", "5", "--json")
    assert made["limits"]["budget_nusd"] is None
    assert (made["limits"]["tokens_per_day"], made["limits"]["requests_per_minute"]) == (5, 60)
    made = conch("tenants", "limit", "acme", "--model", "demo", "--concurrent-requests", "1",
                 "--json")  # fmt: skip
    assert made["model_limits"]["demo"]["concurrent_requests"] == 1
    assert conch("tenants", "disable", "acme", "--json")["is_active"] is False
    assert conch("tenants", "enable", "acme", "--json")["is_active"] is True
    listed = conch("tenants", "list", "--json")
    assert [tenant["id"] for tenant in listed] == ["acme", "default"]
    assert "demo: 1 requests at a time" in conch("tenants", "show", "acme")


def test_a_project_is_made_and_changed(conch):
    conch("tenants", "create", "pro")
    conch("projects", "create", "pro/web", "--requests-per-minute", "6")
    conch("projects", "limit", "pro/web", "--budget", "1")
    conch("projects", "change", "pro/web", "--log-privacy", "full", "--retention-days", "3")
    conch("projects", "disable", "pro/web")
    shown = conch("projects", "show", "pro/web", "--json")
    assert (shown["is_active"], shown["log_privacy"], shown["retention_days"]) == (False, "full", 3)
    assert (shown["limits"]["requests_per_minute"], shown["limits"]["budget_nusd"]) == (6, 10**9)
    assert [each["id"] for each in conch("projects", "list", "--tenant", "pro", "--json")] == [
        "pro/web"
    ]
    assert "is no project" in conch("projects", "show", "pro", code=1)


def test_a_key_is_printed_when_it_is_made_and_rotated_only(conch):
    text = conch("keys", "create", "ci", "--project", "default/default", "--model", "demo",
                 "--class", "batch", "--cidr", "10.0.0.0/8", "--expires-in", "30d",
                 "--requests-per-minute", "5")  # fmt: skip
    key = next(parse(line.strip()) for line in text.splitlines() if line.startswith("ck_live_"))
    shown = conch("keys", "show", key.id, "--json")
    assert (shown["models"], shown["classes"], shown["cidrs"]) == (
        ["demo"], ["batch"], ["10.0.0.0/8"],
    )  # fmt: skip
    assert shown["limits"]["requests_per_minute"] == 5
    rotated = conch("keys", "rotate", key.id, "--overlap", "1h", "--json")
    assert parse(rotated["key"]).id == key.id
    assert conch("keys", "limit", key.id, "--budget", "2", "--json")["limits"]["budget_nusd"] > 0
    assert conch("keys", "revoke", key.id, "--json")["is_active"] is False
    listed = conch("keys", "list")
    assert key.id in listed
    assert "ck_live_" not in listed


def test_people_come_from_issuers(conch):
    conch("issuers", "create", "https://idp.test", "--audience", "conch", "--roles-claim", "groups",
          "--role", "platform=admin", "--tenant-claim", "team")  # fmt: skip
    assert conch("issuers", "show", "https://idp.test", "--json")["roles"] == {"platform": "admin"}
    made = conch("users", "create", "ann@idp.test", "--issuer", "https://idp.test", "--subject",
                 "7", "--role", "developer", "--tenant", "default", "--json")  # fmt: skip
    changed = conch("users", "change", made["id"], "--role", "viewer", "--no-active", "--json")
    assert (changed["role"], changed["is_active"]) == ("viewer", False)
    conch("users", "limit", made["id"], "--concurrent-requests", "1")
    assert "ann@idp.test" in conch("users", "list")
    assert "has users; remove them first" in conch("issuers", "remove", "https://idp.test", code=1)
    conch("users", "remove", made["id"])
    conch("issuers", "remove", "https://idp.test")


def test_prices_are_in_dollars_for_a_million_tokens(conch):
    conch(
        "models", "price", "demo", "--input", "0.15", "--cached-input", "0.075", "--output", "0.6"
    )
    priced = conch("models", "price", "demo", "--adapter", "polite", "--output", "1", "--json")
    assert priced["price"] == {"input_nusd": 150, "cached_input_nusd": 75, "output_nusd": 600}
    assert priced["adapter_prices"]["polite"]["output_nusd"] == 1000
    conch("models", "limit", "demo", "--requests-per-minute", "1000")
    assert "$0.15 / $0.075 / $0.6" in conch("models", "list")
    assert "too many digits" in conch("models", "price", "demo", "--input", "0.00001", code=2)


def test_settings_are_set_compared_and_rolled_back(conch):
    before = conch("policy", "show", "--json")
    conch("policy", "set", "log_privacy=none", "temperature=0.5", "warn_at_percent=[50]")
    after = conch("policy", "show", "--json")
    assert (after["log_privacy"], after["temperature"]) == ("none", 0.5)
    diff = conch("policy", "diff", str(before["policy_version"]))
    assert "+ temperature: 0.5" in diff
    assert "change settings settings" in conch("policy", "history", "-n", "1")
    conch("policy", "rollback", str(before["policy_version"]))
    back = conch("policy", "show", "--json")
    assert back["log_privacy"] == before["log_privacy"]
    assert "is no setting" in conch("policy", "set", "log_privacy", code=1)


def test_what_the_control_plane_refuses_is_one_line(conch, monkeypatch, tmp_path):
    for arguments, says in (
        (("tenants", "show", "nobody"), "error: no tenant 'nobody'"),
        (("tenants", "create", "No Good"), "error: 'id': string should match pattern"),
        (("policy", "set", "retention=1"), "error: 'retention': extra inputs are not permitted"),
    ):
        line = conch(*arguments, code=1)
        assert line.startswith(says)
        assert len(line.splitlines()) == 1
    monkeypatch.setenv("CONCH_CONTROL_URL", "http://127.0.0.1:9")
    assert "does not answer" in conch("keys", "list", code=1)
    monkeypatch.delenv("CONCH_CONTROL_URL")
    assert conch("keys", "list", code=1).startswith("error: no control plane: var/conch.env")
    monkeypatch.delenv("CONCH_ADMIN_KEY_FILE")
    assert conch("keys", "list", code=1).startswith("error: no key: var/secrets/admin_key")


BIRDS = """
id = "{id}"
[[checks]]
kind = "words"
action = "block"
phrases = ["Project Bluebird"]
"""


def test_guardrails_are_put_chosen_tried_and_removed(conch, tmp_path):
    conch("tenants", "create", "safe")
    conch("projects", "create", "safe/web")
    file = tmp_path / "birds.toml"
    for policy in ("birds", "safe/birds"):
        file.write_text(BIRDS.format(id=policy))
        assert "words block" in conch("guardrails", "put", str(file))
    listed = conch("guardrails", "list", "--json")
    assert [each["id"] for each in listed] == ["default", "off", "birds", "safe/birds"]
    shown = json.loads(conch("guardrails", "show", "safe/birds"))
    assert shown["checks"] == [
        {"kind": "words", "action": "block", "phrases": ["Project Bluebird"]}
    ]
    for whom in (["--tenant", "safe"], ["--all"], ["--project", "safe/web"]):
        chosen = conch("guardrails", "use", "birds", *whom, "--json")
        assert chosen["guardrails"] == "birds"
    assert "in use by the settings" in conch("guardrails", "remove", "birds", code=1)
    assert conch("projects", "show", "safe/web", "--json")["guardrails"] == "birds"
    assert conch("tenants", "show", "safe", "--json")["guardrails"] == "birds"
    conch("guardrails", "use", "default", "--all")
    for whom in (["--tenant", "safe"], ["--project", "safe/web"]):
        assert conch("guardrails", "use", *whom, "--json")["guardrails"] is None
    tried = conch("guardrails", "test", "--policy", "birds", "--json", stdin='"project  BLUEBIRD?"')
    assert tried["action"] == "block"
    assert "one of --tenant" in conch("guardrails", "use", "birds", code=1)
    assert "say which policy" in conch("guardrails", "use", "--all", code=1)
    conch("guardrails", "remove", "birds")
    assert "no guardrail 'birds'" in conch("guardrails", "show", "birds", code=1)

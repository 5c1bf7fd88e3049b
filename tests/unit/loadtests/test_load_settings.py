"""Where load may go."""

import pytest

from loadtests.settings import RefusedLoad, is_loopback, load


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "CONCH_MODEL", "CONCH_LOAD_ALLOW_REMOTE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "ck_live_secret")


def test_the_gateway_of_this_machine_is_the_default() -> None:
    settings = load()
    assert settings.base_url == "http://127.0.0.1:8080/v1"
    assert settings.model == "demo"


def test_the_host_of_the_command_line_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert load("http://localhost:10/v1").base_url == "http://localhost:10/v1"


@pytest.mark.parametrize("given", ["--host", "OPENAI_BASE_URL"])
def test_a_remote_host_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://llm.example.com/v1"
    if given != "--host":
        monkeypatch.setenv(given, url)
    with pytest.raises(RefusedLoad, match=r"llm\.example\.com .*CONCH_LOAD_ALLOW_REMOTE=1"):
        load(url if given == "--host" else None)


def test_a_remote_host_is_taken_when_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONCH_LOAD_ALLOW_REMOTE", "1")
    assert load("https://llm.example.com/v1").base_url == "https://llm.example.com/v1"


def test_what_is_no_url_is_refused() -> None:
    with pytest.raises(RefusedLoad, match="is no URL, such as"):
        load("127.0.0.1:8080")


def test_a_bad_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("CONCH_LOAD_MAX_TOKENS", "none")
    with pytest.raises(RefusedLoad) as refused:
        load()
    assert "OPENAI_API_KEY: field required" in str(refused.value)
    assert "CONCH_LOAD_MAX_TOKENS" in str(refused.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "localhost.example.com", "::", "demo"])
def test_nothing_else_is_loopback(host: str) -> None:
    assert not is_loopback(host)

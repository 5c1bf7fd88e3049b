"""Settings come from GATEWAY_* and a bad value stops the start by name."""

from pathlib import Path

import pytest

from gateway.settings import BadSettings, load


@pytest.fixture(autouse=True)
def _only_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_GOVERNED", "false")
    monkeypatch.setenv("GATEWAY_API_KEY", "sk-a")
    monkeypatch.delenv("GATEWAY_API_KEY_FILE", raising=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_PORT", "abc"),
        ("GATEWAY_PORT", "70000"),
        ("GATEWAY_MAX_BODY_BYTES", "0"),
        ("GATEWAY_REQUEST_TIMEOUT_S", "inf"),
        ("GATEWAY_LOG_LEVEL", "loud"),
        ("GATEWAY_STRICT", "perhaps"),
    ],
)
def test_bad_value_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings, match=f"{name}='{value}'"):
        load()


def test_empty_variable_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "")
    assert load().port == 8080


def test_a_governed_gateway_has_no_key_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAY_GOVERNED")
    monkeypatch.delenv("GATEWAY_API_KEY")
    assert load().governed


def test_networks_that_are_none_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TRUSTED_PROXIES", "10.0.0.0/8, home")
    with pytest.raises(BadSettings, match=r"GATEWAY_TRUSTED_PROXIES='10.0.0.0/8, home'.*home"):
        load()


def test_no_key_stops_the_start_of_one_that_is_not_governed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GATEWAY_API_KEY")
    with pytest.raises(BadSettings, match="GATEWAY_API_KEY or GATEWAY_API_KEY_FILE"):
        load()


def test_key_comes_from_the_first_line_of_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("sk-b\nnot this\n")
    monkeypatch.delenv("GATEWAY_API_KEY")
    monkeypatch.setenv("GATEWAY_API_KEY_FILE", str(file))
    assert load().key() == "sk-b"


def test_unreadable_key_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GATEWAY_API_KEY")
    monkeypatch.setenv("GATEWAY_API_KEY_FILE", str(tmp_path / "none"))
    with pytest.raises(BadSettings, match=r"GATEWAY_API_KEY_FILE=.*none cannot be read"):
        load()


def test_key_is_shown_neither_by_repr_nor_by_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "sk-a" not in repr(load())
    monkeypatch.setenv("GATEWAY_PORT", "x")
    with pytest.raises(BadSettings) as caught:
        load()
    assert "sk-a" not in str(caught.value)

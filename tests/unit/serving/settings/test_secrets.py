"""Where a secret may come from: variable, file, mounted folder; and that it is shown nowhere."""

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from serving.settings.base import BadSettings, Count, SecretUrl, Settings, load
from serving.settings.secret_files import read_secret


class Locked(Settings):
    model_config = SettingsConfigDict(env_prefix="LOCKED_")

    key: SecretStr = Field(min_length=4, description="A key.")
    url: SecretUrl = Field("door://here", description="A door.")
    size: Count = Field(1, description="A size.")


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch):
    for name in ("LOCKED_KEY", "LOCKED_KEY_FILE", "LOCKED_URL", "CONCH_SECRETS_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CONCH_SECRETS_DIR", str(tmp_path))
    return tmp_path


def key() -> str:
    return load(Locked).key.get_secret_value()


def refusal() -> str:
    with pytest.raises(BadSettings) as caught:
        load(Locked)
    return str(caught.value)


def test_a_file_has_it_in_its_first_line(monkeypatch, tmp_path):
    (tmp_path / "key").write_text("sesame\nnot this\n")
    monkeypatch.setenv("LOCKED_KEY_FILE", str(tmp_path / "key"))
    assert key() == read_secret("LOCKED_KEY") == "sesame"


@pytest.mark.parametrize("name", ["LOCKED_KEY", "locked_key"])
def test_the_mounted_folder_has_it_under_the_variables_name(folder, name):
    (folder / name).write_text("sesame")
    assert key() == read_secret("LOCKED_KEY") == "sesame"


def test_the_variable_comes_before_its_file_and_that_before_the_folder(
    folder, monkeypatch, tmp_path
):
    (folder / "LOCKED_KEY").write_text("from the folder")
    (tmp_path / "named").write_text("from the file")
    monkeypatch.setenv("LOCKED_KEY_FILE", str(tmp_path / "named"))
    assert key() == "from the file"
    monkeypatch.setenv("LOCKED_KEY", "from the variable")
    assert key() == read_secret("LOCKED_KEY") == "from the variable"
    assert load(Locked, key="given").key.get_secret_value() == "given"


def test_a_secret_that_is_given_has_its_unreadable_file_left_alone(monkeypatch):
    monkeypatch.setenv("LOCKED_KEY", "sesame")
    monkeypatch.setenv("LOCKED_KEY_FILE", "/nowhere")
    assert key() == "sesame"


def test_a_url_with_a_password_may_come_from_a_file_too(folder):
    (folder / "LOCKED_KEY").write_text("sesame")
    (folder / "LOCKED_URL").write_text("door://user:pass@there")
    assert load(Locked).url == "door://user:pass@there"


def test_a_missing_secret_is_told_with_both_variables():
    assert refusal() == "LOCKED_KEY is not set: set LOCKED_KEY or LOCKED_KEY_FILE"


def test_an_unreadable_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("LOCKED_KEY_FILE", str(tmp_path / "none"))
    assert refusal().startswith(f"LOCKED_KEY_FILE={tmp_path}/none cannot be read: ")


def test_a_file_that_is_no_text_is_named_and_nothing_of_it_told(monkeypatch, tmp_path):
    (tmp_path / "key").write_bytes(b"\xff\xfesesame")
    monkeypatch.setenv("LOCKED_KEY_FILE", str(tmp_path / "key"))
    assert refusal() == f"LOCKED_KEY_FILE={tmp_path}/key cannot be read: it is not UTF-8 text"


def test_an_empty_file_is_no_secret(monkeypatch, tmp_path):
    (tmp_path / "key").write_text("\nsesame\n")
    monkeypatch.setenv("LOCKED_KEY_FILE", str(tmp_path / "key"))
    assert "is empty" in refusal()


def test_two_files_for_one_variable_are_refused(folder):
    (folder / "LOCKED_KEY").write_text("one")
    (folder / "locked_key").write_text("two")
    assert "several files for LOCKED_KEY" in refusal()


def test_a_folder_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("CONCH_SECRETS_DIR", "/nowhere")
    assert refusal().startswith("CONCH_SECRETS_DIR=/nowhere cannot be read: ")


def test_every_bad_value_is_told_and_secret_ones_are_hidden(monkeypatch):
    monkeypatch.setenv("LOCKED_KEY", "ses")
    monkeypatch.setenv("LOCKED_SIZE", "none")
    with pytest.raises(BadSettings) as caught:
        load(Locked)
    hidden, shown = caught.value.lines
    assert hidden.startswith("LOCKED_KEY=(hidden): ")
    assert shown.startswith("LOCKED_SIZE='none': input should be a valid integer")


def test_no_secret_is_in_a_repr(monkeypatch):
    monkeypatch.setenv("LOCKED_KEY", "sesame")
    monkeypatch.setenv("LOCKED_URL", "door://user:pass@there")
    assert "sesame" not in repr(load(Locked))
    assert "pass" not in repr(load(Locked))

import stat

import pytest

from serving.contract import api_keys
from serving.settings.base import BadSettings
from serving.settings.trust import SHORTEST
from serving.stack import keyring


def test_a_secret_is_made_once_and_private(tmp_path):
    path = tmp_path / "grant_key"
    first = keyring.ensure(path)
    assert keyring.ensure(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(first) >= SHORTEST
    assert keyring.new_secret() != first


def test_an_api_key_has_the_form_of_one(tmp_path):
    assert api_keys.parse(keyring.ensure(tmp_path / "api_key", keyring.new_api_key))


def test_a_secret_file_that_was_emptied_is_told_and_not_replaced(tmp_path):
    path = tmp_path / "key_pepper"
    path.write_text("")
    with pytest.raises(BadSettings, match="key_pepper is empty"):
        keyring.ensure(path)
    assert path.read_text() == ""

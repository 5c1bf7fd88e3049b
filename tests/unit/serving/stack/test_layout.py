import stat

import pytest

from serving.stack.errors import StackError
from serving.stack.layout import Layout, write_private


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_with_secrets_and_state_are_private(tmp_path):
    layout = Layout(tmp_path / "a" / "var")
    layout.prepare()
    layout.prepare()
    private = (layout.run, layout.secrets, layout.gateway)
    assert {mode(folder) for folder in private} == {0o700}


def test_mode_of_a_folder_that_was_there_is_kept(tmp_path):
    tmp_path.chmod(0o750)
    Layout(tmp_path).prepare()
    assert mode(tmp_path) == 0o750


def test_folder_that_cannot_be_written_is_told_with_its_variable(tmp_path):
    (tmp_path / "var").write_text("a file")
    with pytest.raises(StackError, match=r"cannot write to .*/var .*CONCH_VAR"):
        Layout(tmp_path / "var").prepare()


def test_private_file_replaces_a_public_one(tmp_path):
    path = tmp_path / "conch.env"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]

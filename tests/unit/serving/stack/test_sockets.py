"""Where sockets are, however deep var is."""

import os
import stat
import tempfile

import pytest

from serving.stack import sockets
from serving.stack.errors import StackError
from serving.stack.layout import Layout


@pytest.fixture
def deep(tmp_path, monkeypatch):
    layout = Layout(tmp_path / ("e" * 120))
    layout.prepare()
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setattr("tempfile.tempdir", short)
        yield layout


def test_sockets_are_in_the_run_folder_when_its_path_is_short(tmp_path, monkeypatch):
    monkeypatch.setattr(sockets, "LONGEST", 4000)
    layout = Layout(tmp_path)
    layout.prepare()
    assert sockets.socket_folder(layout) == layout.run
    sockets.remove(layout)
    assert layout.run.exists()


def test_a_deep_var_has_them_in_a_private_folder_that_goes_again(deep):
    folder = sockets.socket_folder(deep)
    assert len(os.fsencode(folder / sockets.LONGEST_NAME)) <= sockets.LONGEST
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sockets.socket_folder(deep) == folder
    sockets.remove(deep)
    assert not folder.exists()


def test_a_folder_that_others_can_enter_is_refused(deep):
    sockets.socket_folder(deep).chmod(0o755)
    with pytest.raises(StackError, match="not a private folder"):
        sockets.socket_folder(deep)


def test_a_link_in_its_place_is_refused(deep, tmp_path):
    folder = sockets.socket_folder(deep)
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StackError, match="not a private folder"):
        sockets.socket_folder(deep)

import platform
import socket
import sys

import pytest

from serving.stack import host
from serving.stack.errors import StackError


def test_this_machine_will_do():
    host.check_platform()
    assert (host.libpython_folder() / host.libpython_name()).exists()


def test_other_processor_is_named(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(StackError, match="x86-64 processor; this is Linux on aarch64"):
        host.check_platform()


def test_other_python_is_named_with_the_way_out(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    monkeypatch.setattr(platform, "python_version", lambda: "3.13.0")
    with pytest.raises(StackError, match=r"needs Python 3.11 or 3.12, .* is 3.13.0; .*PYTHON="):
        host.check_platform()


@pytest.mark.parametrize(
    ("prefix", "way_out"), [("/usr", "install the package libpython3"), ("/opt", "--enable-shared")]
)
def test_libpython_of_another_python_does_not_count(monkeypatch, tmp_path, prefix, way_out):
    monkeypatch.setattr(host, "_library_folders", lambda: [tmp_path])
    monkeypatch.setattr(sys, "base_prefix", prefix)
    with pytest.raises(StackError, match=f"has no shared libpython.*{way_out}"):
        host.libpython_folder()


def test_taken_port_is_told_with_its_variable():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match=rf"port {port} on 127.0.0.1: .*in use.* GATEWAY_PORT"):
            host.check_port("127.0.0.1", port, "GATEWAY_PORT")


def test_port_of_ended_connections_is_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()
    host.check_port("127.0.0.1", port, "GATEWAY_PORT")


def test_port_zero_is_refused():
    with pytest.raises(StackError, match="GATEWAY_PORT=0"):
        host.check_port("127.0.0.1", 0, "GATEWAY_PORT")

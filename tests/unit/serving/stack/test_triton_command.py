import os
import stat
import sys
from pathlib import Path

from serving.stack import triton, wheel
from serving.stack.host import libpython_folder
from serving.stack.settings import TritonSettings


def test_everything_listens_on_the_loopback_only(tmp_path):
    line = triton.command(
        TritonSettings(http_port=1, grpc_port=2, metrics_port=3),
        repositories=[tmp_path],
        backends=tmp_path,
        shm_prefix="conch_x_",
    )
    for name, port in (("http", 1), ("grpc", 2), ("metrics", 3)):
        assert f"--{name}-address=127.0.0.1" in line
        assert f"--{name}-port={port}" in line
    assert "--model-control-mode=explicit" in line
    assert "--backend-config=python,shm-region-prefix-name=conch_x_" in line
    assert Path(line[0]).exists()


def test_backend_has_the_stub_of_this_python(tmp_path):
    wheel.prepare_backends(tmp_path)
    wheel.prepare_backends(tmp_path)
    folder = tmp_path / "python"
    assert {path.name for path in folder.iterdir()} >= {
        "libtriton_python.so",
        "triton_python_backend_stub",
        "triton_python_backend_utils.py",
    }
    stub = folder / "triton_python_backend_stub"
    assert stub.stat().st_mode & stat.S_IXUSR
    assert f"libpython3.{sys.version_info[1]}.so".encode() in stub.read_bytes()


def test_own_python_comes_first_in_both_paths():
    environment = wheel.environment({"PATH": "/bin", "LD_LIBRARY_PATH": "/lib", "KEPT": "1"})
    assert environment["PATH"].split(os.pathsep) == [f"{sys.prefix}/bin", "/bin"]
    libraries = environment["LD_LIBRARY_PATH"].split(os.pathsep)
    assert libraries[0] == str(libpython_folder())
    assert libraries[-1] == "/lib"
    assert environment["KEPT"] == "1"

"""What this machine must offer before anything is installed or started.

Standard library only, and readable by older Pythons: `make` runs it with the Python it was given.
"""

from __future__ import annotations

import platform
import socket
import sys
import sysconfig
from pathlib import Path

from serving.stack.errors import StackError

PYTHONS = ((3, 11), (3, 12))


def check_platform() -> None:
    """Raises StackError unless this is x86-64 Linux and a Python the locked wheels exist for."""
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "AMD64"):
        have = f"{platform.system()} on {platform.machine()}"
        raise StackError(f"Conch runs on Linux with an x86-64 processor; this is {have}")
    if sys.version_info[:2] not in PYTHONS:
        have = platform.python_version()
        raise StackError(
            f"Conch needs Python 3.11 or 3.12, {sys.executable} is {have}; "
            "choose one with PYTHON=python3.12"
        )


def libpython_name() -> str:
    return f"libpython{sys.version_info[0]}.{sys.version_info[1]}.so.1.0"


def _library_folders() -> list[Path]:
    libdir = Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib")
    base = Path(sys.base_prefix) / "lib"
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    return [libdir, base, libdir / multiarch, base / multiarch]


def libpython_folder() -> Path:
    """The folder with the shared library of the running Python.

    Only folders of this Python count: another Python's library of the same minor version would
    load, and then run with a standard library it was not built for.
    """
    for folder in _library_folders():
        if (folder / libpython_name()).exists():
            return folder
    raise StackError(_how_to_get_libpython())


def _how_to_get_libpython() -> str:
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    missing = (
        f"{sys.executable} has no shared {libpython_name()}, which Triton's Python backend loads"
    )
    if sys.base_prefix == "/usr":
        return f"{missing}; install the package libpython{minor}"
    return (
        f"{missing}; build it shared (PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install {minor}) "
        f"or use the system's with PYTHON=/usr/bin/python{minor} and the package libpython{minor}"
    )


def check_port(host: str, port: int, variable: str) -> None:
    """Raises StackError naming `variable` unless `port` can be bound now."""
    if port == 0:
        raise StackError(f"{variable}=0: the stack needs a port that clients can be told")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = error.strerror or "it cannot be used"
            raise StackError(
                f"port {port} on {host}: {reason.lower()}; choose another with {variable}"
            ) from error


def main() -> int:
    try:
        check_platform()
        libpython_folder()
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

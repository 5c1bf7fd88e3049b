"""What the nvidia-pytriton wheel brings, and what its Triton needs to run from a wheel."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from serving.stack.host import libpython_folder
from serving.stack.packages import package_folder


def _site_packages() -> Path:
    return package_folder("pytriton", "nvidia-pytriton").parent


def server_folder() -> Path:
    return _site_packages() / "pytriton" / "tritonserver"


def prepare_backends(target: Path) -> None:
    """Lays out the Python backend with the stub that was built for the running Python."""
    server = server_folder()
    stub = f"python_backend_stubs/{sys.version_info[0]}.{sys.version_info[1]}"
    folder = target / "python"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(server / "backends" / "python", folder)
    shutil.copy2(server / stub / "triton_python_backend_stub", folder)


def environment(base: Mapping[str, str]) -> dict[str, str]:
    """`base` with the paths by which Triton's stubs find this Python and its packages.

    The stubs ignore PYTHONPATH: they find the virtual environment through PATH. The shared library
    of this very Python comes first, so that the loader takes no other of the same version.
    """
    libraries = [str(libpython_folder()), str(_site_packages() / "nvidia_pytriton.libs")]
    if "LD_LIBRARY_PATH" in base:
        libraries.append(base["LD_LIBRARY_PATH"])
    return {
        **base,
        "PATH": os.pathsep.join([str(Path(sys.prefix) / "bin"), base.get("PATH", os.defpath)]),
        "LD_LIBRARY_PATH": os.pathsep.join(libraries),
    }

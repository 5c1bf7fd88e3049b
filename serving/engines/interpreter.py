"""Which Python our child processes run on."""

import sys
from pathlib import Path


def python_executable() -> str:
    """The interpreter of this environment; inside Triton's stub `sys.executable` is not one."""
    return str(Path(sys.prefix) / "bin" / "python")

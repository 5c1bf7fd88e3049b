"""Finds what installed packages bring beside Python, without importing them."""

import importlib.util
from pathlib import Path

from serving.stack.errors import StackError


def package_folder(module: str, package: str) -> Path:
    """The folder of `module`; StackError names the `package` that brings it."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise StackError(f"the package {package} is not installed; `make install` brings it")
    return Path(spec.submodule_search_locations[0])

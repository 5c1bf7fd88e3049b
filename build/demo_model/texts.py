"""The texts that chats are made of, read from the TOML files beside this module."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "texts"


def load(name: str) -> dict[str, Any]:
    """The tables of one file."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def lines(block: str) -> tuple[str, ...]:
    """The lines of a text block."""
    return tuple(block.strip().splitlines())

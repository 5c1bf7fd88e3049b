"""Finds the stack that a command is about: its var folder and its endpoint."""

import os
from pathlib import Path

from dotenv import dotenv_values

from control_plane.settings import ControlSettings
from serving.settings.base import load
from serving.stack.endpoint import Endpoint, from_environment
from serving.stack.errors import StackError
from serving.stack.layout import Layout
from serving.stack.settings import StackSettings


def layout() -> Layout:
    return Layout(load(StackSettings).var)


def owner_key_file() -> Path:
    """Where the key of the whole organisation is: the operator's own file, or the one made."""
    return load(ControlSettings).admin_key_file or layout().admin_key_file


def endpoint() -> Endpoint:
    """What `conch up` wrote into the var folder, or else what the environment names."""
    file = layout().env_file
    found = from_environment(dotenv_values(file)) or from_environment(os.environ)
    if found is None:
        raise StackError(
            f"no endpoint: {file} is not there (`conch up` writes it) and OPENAI_BASE_URL, "
            "OPENAI_API_KEY and CONCH_MODEL are not set"
        )
    return found

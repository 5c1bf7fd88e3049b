"""`.env.example` against the settings classes."""

import re
from enum import Enum
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from gateway.settings import GatewaySettings
from serving.stack.settings import StackSettings, TritonSettings, WorkerSettings, variable

EXAMPLE = Path(__file__).parents[4] / ".env.example"
CLASSES = (StackSettings, TritonSettings, WorkerSettings, GatewaySettings)


def written() -> dict[str, str]:
    return dict(re.findall(r"^# ([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE.read_text(), re.MULTILINE))


def shown(default: object) -> str:
    if default is None:
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    return str(default.value if isinstance(default, Enum) else default)


@pytest.mark.parametrize("settings", CLASSES)
def test_every_variable_is_in_the_example_with_its_default(settings: type[BaseSettings]) -> None:
    defaults = {
        variable(settings, name): shown(field.get_default(call_default_factory=True))
        for name, field in settings.model_fields.items()
    }
    assert defaults == {name: written().get(name) for name in defaults}


def test_the_example_has_no_other_variables() -> None:
    known = {variable(cls, field) for cls in CLASSES for field in cls.model_fields}
    assert written().keys() == known

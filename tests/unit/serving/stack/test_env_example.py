"""`.env.example` against the Settings classes, and those against the catalogue."""

import importlib
import pkgutil
from pathlib import Path

import pytest

import control_plane
import gateway
import serving
from serving.cli.config import example_text
from serving.settings.base import Settings
from serving.settings.table import variables
from serving.stack.catalogue import all_settings, known_variables

EXAMPLE = Path(__file__).parents[4] / ".env.example"


def test_the_example_is_what_the_command_prints():
    """`conch config example > .env.example` after a change of the settings."""
    assert EXAMPLE.read_text() == example_text()


def test_every_variable_is_in_the_example_with_its_default():
    lines = EXAMPLE.read_text().splitlines()
    for settings in all_settings():
        for row in variables(settings):
            assert f"# {row.name}={row.default}" in lines


@pytest.mark.parametrize("settings", all_settings())
def test_every_variable_says_what_it_is(settings):
    assert [row.name for row in variables(settings) if not row.description.endswith(".")] == []


def test_no_two_classes_have_the_same_variable():
    rows = [row.name for settings in all_settings() for row in variables(settings)]
    assert sorted(rows) == sorted(known_variables())


def test_every_settings_class_is_in_the_catalogue():
    for package in (serving, gateway, control_plane):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("settings") or ".settings." in module.name:
                importlib.import_module(module.name)
    assert set(all_settings()) == {cls for cls in Settings.__subclasses__() if is_ours(cls)}


def is_ours(cls: type) -> bool:
    return cls.__module__.split(".")[0] in ("serving", "gateway", "control_plane")

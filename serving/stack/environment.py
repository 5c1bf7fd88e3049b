"""What a part is told by its environment: no secret goes to a part that it does not concern."""

import os
from collections.abc import Iterable, Mapping

from serving.settings.table import secrets_of
from serving.stack.catalogue import all_settings

FILE = "_FILE"

# CONCH_VAR says which stack a process belongs to.
_BARE = ("PATH", "HOME", "TMPDIR", "TZ", "CONCH_VAR")


def bare_environment() -> dict[str, str]:
    """For a program that has no settings in the environment."""
    kept = {name: os.environ[name] for name in _BARE if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8"}


def environment(given: Mapping[str, str], *, secrets: Iterable[str]) -> dict[str, str]:
    """The environment of the stack with `given` put in; of secrets only those it names.

    What is given as a file is not also given as a value, nor the other way round.
    """
    known = secrets_of(*all_settings())
    replaced = {name.removesuffix(FILE) for name in given} & known
    told = _without(os.environ, replaced) | dict(given)
    return _without(told, known - set(secrets))


def _without(variables: Mapping[str, str], secrets: Iterable[str]) -> dict[str, str]:
    """Neither those secrets nor the files that have them."""
    hidden = {form for name in secrets for form in (name, f"{name}{FILE}")}
    return {name: value for name, value in variables.items() if name not in hidden}

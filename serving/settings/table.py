"""Settings classes as rows of a table: every variable, its default, and what it is."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from pydantic_settings import BaseSettings

from serving.settings.base import HIDDEN, Settings, is_secret, is_url, variable

PASSWORD = re.compile(r"(?<=:)[^:/@]*(?=@)|(?<=password=)[^&]*")


@dataclass(frozen=True, slots=True)
class Variable:
    """`default` as one would write it; empty for none. `field` has it, None for a `*_FILE`."""

    name: str
    default: str
    description: str
    field: str | None = None
    is_secret: bool = False


def variables(settings: type[BaseSettings]) -> Iterator[Variable]:
    """What can be set of `settings`, in the order of its fields."""
    for field, info in settings.model_fields.items():
        name = variable(settings, field)
        default = written(None if info.is_required() else info.get_default())
        hidden = is_secret(info)
        yield Variable(name, default, info.description or "", field, hidden)
        if hidden:
            yield Variable(f"{name}_FILE", "", f"A file whose first line is {name}.")


def secrets_of(*settings: type[BaseSettings]) -> set[str]:
    """The variables of those classes that are secret."""
    return {row.name for one in settings for row in variables(one) if row.is_secret}


def value(loaded: Settings, row: Variable) -> str:
    """What `loaded` has there, as one would write it; what is secret of it is hidden."""
    if row.field is None:
        return os.environ.get(row.name, "")
    found = getattr(loaded, row.field)
    if found is not None and is_url(type(loaded).model_fields[row.field]):
        return PASSWORD.sub(HIDDEN, found)
    return HIDDEN if row.is_secret and found is not None else written(found)


def written(found: object) -> str:
    """A value as one writes it into the environment; empty for None."""
    if found is None:
        return ""
    if isinstance(found, bool):
        return str(found).lower()
    return str(found.value if isinstance(found, Enum) else found)

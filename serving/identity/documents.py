"""Policy documents as JSON, both ways.

A field at its default is left out, so a default is part of what is stored: it may never change its
meaning. Fields that only a newer version knows are ignored.
"""

from collections.abc import Hashable
from dataclasses import MISSING, Field, fields
from functools import lru_cache
from typing import Any, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from serving.contract.guardrails import ArgumentRule, Check
from serving.contract.policy import (
    KINDS,
    AdapterRule,
    Change,
    Document,
    Limits,
    Price,
    Secret,
)

H = TypeVar("H", bound=Hashable)
_KIND_OF = {kind: name for name, kind in KINDS.items()}
_ADAPTERS: dict[str, TypeAdapter[Document]] = {
    name: TypeAdapter(kind) for name, kind in KINDS.items()
}
# Fields in which many documents say the same.
_COMMON = frozenset(
    {"tenant", "project", "issuer", "audience", "limits", "price", "guardrails"}
) | frozenset({"scopes", "models", "adapters", "classes", "tools", "cidrs"})
_COMMON_OF = {
    name: tuple(field.name for field in fields(kind) if field.name in _COMMON)
    for name, kind in KINDS.items()
}


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


_DEFAULTS: dict[type[Any], dict[str, Any]] = {
    kind: {field.name: _default(field) for field in fields(kind)}
    for kind in (*KINDS.values(), AdapterRule, ArgumentRule, Check, Limits, Price, Secret)
}


class BadDocument(ValueError):
    """What is no document of its kind; the message names the fields, never their values."""


def kind_of(document: Document) -> str:
    return _KIND_OF[type(document)]


def change_of(document: Document) -> Change:
    """The change that puts `document` in place."""
    return Change(kind_of(document), document.id, encode(document))


def encode(document: Document) -> bytes:
    return orjson.dumps(document, _told, option=orjson.OPT_PASSTHROUGH_DATACLASS)


def decode(kind: str, data: bytes) -> Document:
    """The document in `data`; raises BadDocument, and KeyError for a kind that is not in KINDS.

    Equal limits, lists and names are one object in all documents: there may be very many.
    """
    try:
        document = _ADAPTERS[kind].validate_json(data, strict=True)
    except ValidationError as error:
        raise BadDocument(f"no {kind}: {_complaint(error)}") from None
    for name in _COMMON_OF[kind]:
        # It is frozen for those who get it; nobody has it yet.
        object.__setattr__(document, name, _shared(getattr(document, name)))
    return document


def _told(part: Any) -> dict[str, Any]:
    """The fields of a dataclass that say more than their default."""
    defaults = _DEFAULTS[type(part)]
    return {name: said for name in defaults if (said := getattr(part, name)) != defaults[name]}


@lru_cache(maxsize=8192, typed=True)
def _shared(value: H) -> H:
    return value


def _complaint(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, d['loc']))}: {d['msg']}" for d in details)

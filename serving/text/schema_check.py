"""Whether answers can be held to a JSON schema, and if not, which keyword of it is in the way."""

import json
from collections.abc import Iterator
from typing import Any

from serving.contract.errors import InvalidRequest, UnsupportedParameter
from serving.text.schema_alternatives import are_apart, fits_type
from serving.text.schema_characters import Notation
from serving.text.schema_grammar import MAX_PARTS, grammar_of
from serving.text.schema_keywords import COUNTS, HEADS, TYPES, is_annotation, why_not_held
from serving.text.schema_numbers import BOUNDS, bounded
from serving.text.schema_objects import required_of
from serving.text.schema_patterns import PatternError, expression
from serving.text.schema_references import target

MAX_CHARACTERS = 65_536
MAX_PROPERTIES = 5000
MAX_ENUM = 1000
MAX_DEPTH = 32
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS = ("properties", "$defs", "definitions")
_SINGLE = ("items", "additionalProperties")
_UNREAL = "no value can follow it"


def check(schema: Any, *, is_strict: bool, param: str) -> None:
    """Raises UnsupportedParameter for a keyword that would not be held, with its JSON pointer.

    InvalidRequest is for what is no schema, is too large, or breaks OpenAI's rules of `strict`.
    """
    size = len(text_of(schema, param=param))
    if size > MAX_CHARACTERS:
        raise InvalidRequest(
            f"the schema has {size} characters, it can have {MAX_CHARACTERS}", param=param
        )
    _Walk(schema, param, is_strict=is_strict).all()
    if grammar_of(schema) is None:
        told = f"the schema has more than {MAX_PARTS} parts, or its references lead too deep"
        raise InvalidRequest(told, param=param)


def text_of(schema: Any, *, param: str) -> str:
    """As JSON. Raises InvalidRequest where it is nested too deep even for that."""
    try:
        return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        told = f"the schema is nested deeper than {MAX_DEPTH}"
        raise InvalidRequest(told, param=param) from None


class _Walk:
    """From the root to every part, and through each reference once."""

    def __init__(self, root: Any, param: str, *, is_strict: bool) -> None:
        self._root = root
        self._param = param
        self._is_strict = is_strict
        self._seen: set[str] = set()
        self._straight: set[str] = set()  # references that are known not to lead to themselves
        self._properties = 0
        self._constants = 0

    def all(self) -> None:
        root = self._root
        if self._is_strict and not (isinstance(root, dict) and root.get("type") == "object"):
            raise self._invalid("type", "", "the root of a strict schema must be of type object")
        self._part(root, "", 0)

    def _part(self, schema: Any, place: str, depth: int) -> None:
        if schema is True:
            if self._is_strict:
                raise self._invalid("type", place, "a strict schema needs one")
            return
        if not isinstance(schema, dict):
            told = _UNREAL if schema is False else "it must be an object of keywords"
            raise InvalidRequest(f"the schema at '#{place}': {told}", param=self._param)
        if depth > MAX_DEPTH:
            raise InvalidRequest(
                f"the schema is nested deeper than {MAX_DEPTH} at '#{place}'", param=self._param
            )
        for name in schema:
            self._keyword(schema, name, place)
        if self._is_strict:
            self._strict(schema, place)
        for inner, where in _inner(schema, place):
            self._part(inner, where, depth + 1)
        if "$ref" in schema:
            self._reference(schema["$ref"], place, depth)

    def _keyword(self, schema: dict[str, Any], name: str, place: str) -> None:
        if wrong := _why_wrong(schema, name):
            raise self._invalid(name, place, wrong)
        if name == "$id" and not place:
            return
        if reason := why_not_held(schema, name):
            raise self._unsupported(name, place, reason)
        match name:
            case "pattern":
                self._pattern(schema[name], place)
            case "oneOf" if not are_apart(self._root, schema[name]):
                told = (
                    "its schemas must differ by a type or a constant that each requires; use anyOf"
                )
                raise self._unsupported(name, place, told)
            case "properties":
                self._count("_properties", len(schema[name]), MAX_PROPERTIES, "properties")
            case "enum":
                self._count("_constants", len(schema[name]), MAX_ENUM, "values of enum")

    def _count(self, counter: str, more: int, most: int, what: str) -> None:
        total = getattr(self, counter) + more
        setattr(self, counter, total)
        if total > most:
            raise InvalidRequest(
                f"the schema has more than {most} {what} altogether", param=self._param
            )

    def _pattern(self, pattern: str, place: str) -> None:
        try:
            expression(pattern, Notation.JSON, anywhere="character*")
        except PatternError as error:
            raise self._unsupported("pattern", place, f"its part {error}") from None

    def _reference(self, pointer: str, place: str, depth: int) -> None:
        found = target(self._root, pointer)
        if found is None:
            told = f"'{pointer[:64]}' is not in this schema; only references within it can be held"
            raise self._unsupported("$ref", place, told)
        if self._is_circle(pointer, ()):
            raise self._invalid("$ref", place, f"it leads to itself, {_UNREAL}")
        if pointer not in self._seen:
            self._seen.add(pointer)
            self._part(found.schema, pointer.removeprefix("#"), depth + 1)

    def _is_circle(self, pointer: str, passed: tuple[str, ...]) -> bool:
        """Whether one comes back to a reference without anything made on the way."""
        if pointer in passed:
            return True
        if len(passed) > MAX_DEPTH:
            raise InvalidRequest(
                f"the schema's references are nested deeper than {MAX_DEPTH}", param=self._param
            )
        if pointer in self._straight or (found := target(self._root, pointer)) is None:
            return False
        leads_back = self._leads_back(found.schema, (*passed, pointer))
        self._straight.add(pointer)
        return leads_back

    def _leads_back(self, schema: Any, passed: tuple[str, ...]) -> bool:
        if not isinstance(schema, dict):
            return False
        if isinstance(pointer := schema.get("$ref"), str):
            return self._is_circle(pointer, passed)
        lists = (schema.get(name) for name in ("anyOf", "oneOf", "allOf"))
        alternatives = [each for some in lists if isinstance(some, list) for each in some]
        return any(self._leads_back(each, passed) for each in alternatives)

    def _strict(self, schema: dict[str, Any], place: str) -> None:
        """OpenAI's rules."""
        if not any(name in schema for name in (*HEADS, "type")):
            raise self._invalid("type", place, "a strict schema needs one")
        kinds = schema.get("type")
        if "object" not in (kinds if isinstance(kinds, list) else [kinds]):
            return
        if schema.get("additionalProperties") is not False:
            told = "a strict schema must say false, so that no other properties are made"
            raise self._invalid("additionalProperties", place, told)
        left = [name for name in schema.get("properties", {}) if name not in required_of(schema)]
        if left:
            told = f"a strict schema must require all properties, also '{left[0][:64]}'"
            raise self._invalid("required", place, told)

    def _invalid(self, name: str, place: str, told: str) -> InvalidRequest:
        return InvalidRequest(f"'{name}' at '#{place}': {told}", param=self._param)

    def _unsupported(self, name: str, place: str, told: str) -> UnsupportedParameter:
        what = f"the schema's keyword '{name[:64]}' at '#{place}' cannot be honoured: {told}"
        return UnsupportedParameter(what, param=self._param)


def _inner(schema: dict[str, Any], place: str) -> Iterator[tuple[Any, str]]:
    for name in _LISTS:
        for number, each in enumerate(schema.get(name, ())):
            yield each, f"{place}/{name}/{number}"
    for name in _MAPS:
        for key, each in schema.get(name, {}).items():
            yield each, f"{place}/{name}/{key.replace('~', '~0').replace('/', '~1')}"
    for name in _SINGLE:
        if schema.get(name) not in (None, True, False):
            yield schema[name], f"{place}/{name}"


def _why_wrong(schema: dict[str, Any], name: str) -> str | None:
    """Why the value of a keyword is none that it can have."""
    value = schema[name]
    if is_annotation(name) and name not in _MAPS:
        return None
    if name in _MAPS and not isinstance(value, dict):
        return "must be an object of schemas"
    if name in _LISTS and not (isinstance(value, list) and value):
        return "must be a list of schemas"
    if name in ("$ref", "pattern", "format") and not isinstance(value, str):
        return "must be a string"
    if name in COUNTS and (type(value) is not int or value < 0):
        return "must be a whole number, 0 or more"
    if name in BOUNDS and type(value) not in (int, float):
        return "must be a number"
    return _why_impossible(schema, name, value)


def _why_impossible(schema: dict[str, Any], name: str, value: Any) -> str | None:
    match name:
        case "type":
            kinds = value if isinstance(value, list) else [value]
            is_known = all(isinstance(kind, str) and kind in TYPES for kind in kinds)
            if not kinds or not is_known or len(set(kinds)) < len(kinds):
                return f"must be of {', '.join(TYPES)}"
        case "enum":
            if not isinstance(value, list) or not value:
                return "must be a list of values"
            if not all(fits_type(each, schema.get("type")) for each in value):
                return "has a value that is not of the schema's type"
        case "const" if not fits_type(value, schema.get("type")):
            return "is not of the schema's type"
        case "required":
            if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
                return "must be a list of names"
            known = schema.get("properties", {})
            missing = next((each for each in value if each not in known), None)
            if missing is not None and schema.get("additionalProperties", not known) is False:
                return f"'{missing[:64]}' is none of 'properties', and there may be no others"
        case "minItems" | "minLength" | "minProperties":
            most = schema.get(name.replace("min", "max"))
            if type(most) is int and value > most:
                return f"is more than the most, {_UNREAL}"
            if name == "minItems" and value > len(schema.get("prefixItems") or ()):
                return f"items are false, {_UNREAL}" if schema.get("items") is False else None
    if name in BOUNDS:
        is_whole = schema.get("type") == "integer"
        held = {each: schema[each] for each in BOUNDS if type(schema.get(each)) in (int, float)}
        return (
            f"the bounds leave nothing, {_UNREAL}" if _is_empty(held, is_whole=is_whole) else None
        )
    return None


def _is_empty(bounds: dict[str, Any], *, is_whole: bool) -> bool:
    try:
        return bounded(bounds, is_whole=is_whole) == ""
    except (ArithmeticError, ValueError):
        return False

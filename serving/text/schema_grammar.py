"""A JSON schema as rules of a grammar: all that they make is valid, if not all that is valid.

Objects have the properties that are named, and others only where the schema says so. Keywords that
are not held here (`schema_check` has the list) are left to the model.
"""

from typing import Any

from serving.text.schema_alternatives import fits_type
from serving.text.schema_characters import Notation
from serving.text.schema_formats import FORMATS
from serving.text.schema_numbers import bounded
from serving.text.schema_objects import COMMA, closed, map_of, other_pair, pair, required_of
from serving.text.schema_patterns import PatternError, expression
from serving.text.schema_references import target
from serving.text.schema_rules import JSON_RULES, Rules, any_of, json_literal, times

MAX_DEPTH = 64
MAX_PARTS = 6000
_PROPERTY_COUNTS = ("minProperties", "maxProperties")
_OF_TYPE = {
    "object": ("properties", "required", "additionalProperties", "minProperties", "maxProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "string": ("pattern", "format", "minLength", "maxLength"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}


def grammar_of(schema: Any) -> str | None:
    """The grammar of a document that follows `schema`; None: it has too many parts."""
    rules = Rules()
    made = SchemaRules(schema, rules)
    root = made.value()
    return f"root ::= {root}{JSON_RULES}{rules.text()}" if made.is_whole else None


class SchemaRules:
    """Of one schema and all that it refers to within itself."""

    def __init__(self, root: Any, rules: Rules) -> None:
        self._root = root
        self._rules = rules
        self._referred: dict[str, str] = {}
        self._parts = 0
        self.is_whole = True  # until a part is left to the model: too deep, or one too many

    def value(self) -> str:
        """The name of the rule."""
        return self._value(self._root, 0)

    def object(self) -> str:
        """The same, but never anything else than an object."""
        schema = self._root if isinstance(self._root, dict) else {}
        return self._value(
            schema
            if schema.keys() & {"$ref", "anyOf", "oneOf", "allOf", "type"}
            else {"type": "object"} | schema,
            0,
        )

    def _value(self, schema: Any, depth: int) -> str:
        self._parts += 1
        is_too_much = depth > MAX_DEPTH or self._parts > MAX_PARTS
        self.is_whole &= not is_too_much
        if is_too_much or not isinstance(schema, dict):
            return "value"
        match schema:
            case {"$ref": str(pointer)}:
                return self._reference(pointer, depth)
            case {"const": constant}:
                return self._rules.named(json_literal(constant))
            case {"enum": [_, *_] as values}:
                return self._enum(schema, values)
            case {"allOf": [one]}:
                return self._value(one, depth + 1)
            case {"anyOf": [_, *_] as schemas} | {"oneOf": [_, *_] as schemas}:
                return self._any_of(schemas, depth)
            case {"type": [_, *_] as kinds}:
                return self._any_of(
                    [{**schema, "type": kind} for kind in dict.fromkeys(map(str, kinds))], depth
                )
        return self._typed(schema, depth)

    def _typed(self, schema: dict[str, Any], depth: int) -> str:
        match schema.get("type", _implied(schema)):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer" | "number" as kind:
                numbers = bounded(schema, is_whole=kind == "integer")
                return self._rules.named(numbers) if numbers else str(kind)
            case "boolean" | "null" as kind:
                return str(kind)
        return "value"

    def _reference(self, pointer: str, depth: int) -> str:
        """A rule that may come to stand within itself."""
        if pointer not in self._referred:
            found = target(self._root, pointer)
            if found is None:
                return "value"
            name = self._referred[pointer] = self._rules.reserve()
            self._rules.say(name, self._value(found.schema, depth + 1))
        return self._referred[pointer]

    def _enum(self, schema: dict[str, Any], values: list[Any]) -> str:
        fitting = [value for value in values if fits_type(value, schema.get("type"))]
        return self._rules.named(any_of([json_literal(value) for value in fitting or values]))

    def _any_of(self, schemas: list[Any], depth: int) -> str:
        return self._rules.named(any_of([self._value(each, depth + 1) for each in schemas]))

    def _object(self, schema: dict[str, Any], depth: int) -> str:
        properties = schema.get("properties")
        named = properties if isinstance(properties, dict) else {}
        required = required_of(schema)
        more = schema.get("additionalProperties", not named)
        is_any = not (named or required) and schema.keys().isdisjoint(_PROPERTY_COUNTS)
        if is_any and more is True:
            return "object"
        if more is False:
            extra = ""
        else:
            value = self._value(more, depth + 1)
            extra = other_pair({*named, *required}, value, self._rules)
        if not named and not required:
            return self._map(schema, extra)
        schemas = {**dict.fromkeys(required, more), **named}
        schemas = {name: schemas[name] for name in (*named, *schemas)}
        pairs = {
            name: self._rules.named(pair(name, self._value(each, depth + 1)))
            for name, each in schemas.items()
            if each is not False
        }
        return self._rules.named(closed(pairs, required, extra, self._rules))

    def _map(self, schema: dict[str, Any], extra: str) -> str:
        most = 0 if not extra else _count(schema, "maxProperties")
        least = min(_count(schema, "minProperties") or 0, 1)
        return self._rules.named(map_of(extra, least, most))

    def _array(self, schema: dict[str, Any], depth: int) -> str:
        given = schema.get("prefixItems")
        prefix = given if isinstance(given, list) else []
        least = _count(schema, "minItems") or 0
        rest = schema.get("items", not prefix or least > len(prefix))
        first = [self._value(each, depth + 1) for each in prefix]
        item = "" if rest is False else self._value(rest, depth + 1)
        inner = self._items(first, item, least, _count(schema, "maxItems"))
        return self._rules.named(f'"[" gap {inner} gap "]"')

    def _items(self, first: list[str], item: str, least: int, most: int | None) -> str:
        """From the end: what may follow on so many items."""
        if most is not None:
            first, item = first[:most], item if most > len(first) else ""
        text = _more(item, len(first), least, most)
        for place in range(len(first) - 1, -1, -1):
            text = f"{f'{COMMA} ' if place else ''}{first[place]} {text}"
            text = self._rules.named(text if place < least else f"({text})?")
        return text

    def _string(self, schema: dict[str, Any]) -> str:
        pattern = schema.get("pattern", FORMATS.get(str(schema.get("format"))))
        least, most = _count(schema, "minLength") or 0, _count(schema, "maxLength")
        if isinstance(pattern, str):
            try:
                inside = expression(pattern, Notation.JSON, anywhere="character*")
            except PatternError:
                return "string"
            return self._rules.named(f'"\\"" {inside} "\\""')
        if not least and most is None:
            return "string"
        return self._rules.named(f'"\\"" character{times(least, most)} "\\""')


def _more(item: str, given: int, least: int, most: int | None) -> str:
    """Any number of items after those that are given, as far as the bounds leave room."""
    low, high = max(least - given, 0), None if most is None else most - given
    if not item or high == 0:
        return '""'
    if given:
        return f"({COMMA} {item}){times(low, high)}"
    more = f"{item} ({COMMA} {item}){times(max(low - 1, 0), None if high is None else high - 1)}"
    return more if low else f"({more})?"


def _implied(schema: dict[str, Any]) -> str | None:
    """The type of which the keywords of a schema without one speak."""
    return next((kind for kind, names in _OF_TYPE.items() if schema.keys() & set(names)), None)


def _count(schema: dict[str, Any], name: str) -> int | None:
    value = schema.get(name)
    return value if type(value) is int and value >= 0 else None

"""The keywords of JSON schema that an answer can be held to, and those that say nothing of it."""

from typing import Any

from serving.text.schema_formats import FORMATS
from serving.text.schema_numbers import BOUNDS, is_bound
from serving.text.schema_objects import required_of

# Of these a schema can have one, and beside it none of the others that hold something.
HEADS = ("$ref", "const", "enum", "anyOf", "oneOf", "allOf")
COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
PLAIN = (
    *("type", "properties", "required", "additionalProperties", "items", "prefixItems"),
    *("pattern", "format", *COUNTS, *BOUNDS),
)
ANNOTATIONS = frozenset(
    (
        *("title", "description", "default", "example", "examples", "deprecated", "readOnly"),
        *("writeOnly", "$comment", "$schema", "contentEncoding", "contentMediaType"),
        *("discriminator", "$defs", "definitions"),
    )
)
TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
MAX_COUNT = 10_000


def is_annotation(name: str) -> bool:
    return name in ANNOTATIONS or name.startswith("x-")


def why_not_held(schema: dict[str, Any], name: str) -> str | None:
    """Why one keyword of `schema` cannot be held; None: it can, or it says nothing."""
    if is_annotation(name):
        return None
    if name not in HEADS and name not in PLAIN:
        return "no grammar here can hold it"
    head = next((head for head in HEADS if head in schema), None)
    if head is not None and name != head and not (name == "type" and head in ("const", "enum")):
        return f"it cannot be held beside '{head}'"
    if name in BOUNDS and not is_bound(schema[name]):
        return "a number below 10^9 with at most 4 decimals can be held"
    if name == "allOf" and isinstance(schema[name], list) and len(schema[name]) != 1:
        return "only one of them can be held"
    return _why_no_string(schema, name) or _why_no_count(schema, name)


def _why_no_string(schema: dict[str, Any], name: str) -> str | None:
    if name == "format" and schema[name] not in FORMATS:
        return f"known are {', '.join(FORMATS)}"
    if name in ("minLength", "maxLength", "format") and "pattern" in schema:
        return "it cannot be held beside 'pattern'"
    if name in ("minLength", "maxLength") and "format" in schema:
        return "it cannot be held beside 'format'"
    return None


def _why_no_count(schema: dict[str, Any], name: str) -> str | None:
    """A model may write a property twice, so their number can be held only where it is given."""
    if name not in COUNTS or type(schema[name]) is not int:
        return None
    count = schema[name]
    if count > MAX_COUNT:
        return f"it can be at most {MAX_COUNT}"
    named = schema.get("properties") or {}
    required = set(required_of(schema))
    if name == "minProperties" and count > (len(required) if named or required else 1):
        return "the names of so many properties must be required"
    if name == "maxProperties" and (named or required):
        more = schema.get("additionalProperties", not named)
        if more is not False or count < len({*named, *required}):
            return "it cannot be held beside 'properties'"
    return None

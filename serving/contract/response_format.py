"""OpenAI's `response_format`, and what grows out of it, as the grammar that it means."""

from collections.abc import Mapping
from typing import Any

import orjson

from serving.contract.calls import Guide
from serving.contract.errors import InvalidRequest


def guide_of(response_format: Any) -> Guide | None:
    """The grammar that a `response_format` object means; None for plain text."""
    match response_format:
        case {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return Guide("json")
        case {"type": "json_schema", "json_schema": {"schema": dict(schema), **more}}:
            return Guide(_schema_kind(more), orjson.dumps(schema).decode())
        case {"type": "regex", "regex": str(pattern)}:
            return Guide("regex", pattern)
        case {"type": "grammar", "grammar": str(grammar)}:
            return Guide("ebnf_grammar", grammar)
        case {"type": "choice", "choice": list(texts)}:
            return Guide("choice", orjson.dumps(texts).decode())
    raise InvalidRequest(
        "'response_format' must have type text, json_object, json_schema with json_schema.schema, "
        "regex, grammar or choice with a field of the same name",
        param="response_format",
    )


def _schema_kind(options: Mapping[Any, Any]) -> str:
    is_strict = options.get("strict")
    if not isinstance(is_strict, bool | None):
        raise InvalidRequest("'json_schema.strict' must be true or false", param="response_format")
    return "strict_json_schema" if is_strict else "json_schema"

"""What an answer must look like, as a grammar that every engine reads, or a refusal. Pure."""

import json
from functools import lru_cache
from typing import Any

from serving.contract.calls import Guide
from serving.contract.errors import InvalidRequest
from serving.text.schema_characters import Notation
from serving.text.schema_check import check
from serving.text.schema_grammar import grammar_of
from serving.text.schema_patterns import PatternError, expression
from serving.text.schema_rules import JSON_RULES, any_of, literal

PARAM = "response_format"
MAX_GUIDE = 65_536  # characters that engines read at most
MAX_CHOICES = 1000


@lru_cache(maxsize=256)
def held(guide: Guide) -> Guide:
    """The EBNF of `guide`; one of a kind that is not known here is the engine's to judge.

    Raises InvalidRequest, and UnsupportedParameter for what no grammar here can hold.
    """
    match guide.kind:
        case "json":
            return _grammar(f"root ::= object{JSON_RULES}")
        case "json_schema" | "strict_json_schema":
            return _of_schema(_json(guide), is_strict=guide.kind == "strict_json_schema")
        case "regex":
            return _of_pattern(guide.text)
        case "choice":
            return _of_choice(_json(guide))
    return guide


def _of_schema(schema: Any, *, is_strict: bool) -> Guide:
    check(schema, is_strict=is_strict, param=PARAM)
    return _grammar(grammar_of(schema) or "")


def _of_pattern(pattern: str) -> Guide:
    try:
        return _grammar(f"root ::= {expression(pattern, Notation.TEXT)}\n")
    except PatternError as error:
        raise InvalidRequest(f"the regular expression's part {error}", param=PARAM) from None


def _of_choice(texts: Any) -> Guide:
    is_fine = isinstance(texts, list) and all(isinstance(text, str) and text for text in texts)
    if not is_fine or not 1 <= len(texts) <= MAX_CHOICES:
        raise InvalidRequest(
            f"'choice' must be a list of 1 to {MAX_CHOICES} strings, none of them empty",
            param=PARAM,
        )
    return _grammar(f"root ::= {any_of([literal(text) for text in texts])}\n")


def _json(guide: Guide) -> Any:
    try:
        return json.loads(guide.text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the {guide.kind} guide is not JSON: {error}", param=PARAM) from None


def _grammar(text: str) -> Guide:
    if len(text) > MAX_GUIDE:
        raise InvalidRequest(
            f"what the answer must look like makes a grammar of {len(text)} characters, it can "
            f"have {MAX_GUIDE}; make it smaller",
            param=PARAM,
        )
    return Guide("ebnf_grammar", text)

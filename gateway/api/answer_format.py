"""The form that a client wants the answer in: `response_format`, or a name that vLLM has for it."""

from typing import Any

from serving.contract.calls import Guide
from serving.contract.errors import InvalidRequest
from serving.contract.response_format import guide_of

# What vLLM's clients send -> the same as a `response_format`.
VLLM_NAMES = ("guided_json", "guided_regex", "guided_choice", "guided_grammar")
_STRUCTURED = ("json", "json_object", "regex", "choice", "grammar")


def asked_guide(given: dict[str, Any]) -> Guide | None:
    """The one form among the fields that are given; None: any. Raises InvalidRequest."""
    given = {name: value for name, value in given.items() if value is not None}
    if len(given) > 1:
        first, second, *_ = given
        raise InvalidRequest(f"'{first}' and '{second}' exclude one another", param=second)
    for name, value in given.items():
        if name == "response_format":
            return guide_of(value)
        if name == "structured_outputs":
            return _structured(value)
        return _guide(name, name.removeprefix("guided_"), value)
    return None


def _structured(value: dict[str, Any]) -> Guide | None:
    """vLLM's object with one field."""
    forms = [form for form in _STRUCTURED if value.get(form) not in (None, False)]
    unknown = next((name for name in value if name not in _STRUCTURED and value[name]), None)
    if unknown is not None or len(forms) != 1:
        raise InvalidRequest(
            f"'structured_outputs' must have one of {', '.join(_STRUCTURED)}, and nothing else",
            param="structured_outputs",
        )
    return _guide("structured_outputs", forms[0], value[forms[0]])


def _guide(name: str, form: str, value: Any) -> Guide | None:
    match form, value:
        case ("json_object", _):
            return guide_of({"type": "json_object"})
        case ("json", dict()):
            return guide_of({"type": "json_schema", "json_schema": {"schema": value}})
        case ("regex" | "grammar", str()) | ("choice", list()):
            return guide_of({"type": form, form: value})
    kind = {"json": "a JSON schema", "choice": "a list of strings"}.get(form, "a string")
    raise InvalidRequest(f"'{name}' must have {kind}", param=name)

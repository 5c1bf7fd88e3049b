"""The form of an answer, by OpenAI's name or by vLLM's, or a refusal that names the field."""

from typing import Any

import pytest

from gateway.api.chat_schema import chat_ask
from gateway.api.completions_schema import completions_ask
from gateway.settings import GatewaySettings
from serving.contract.calls import Guide
from serving.contract.errors import InvalidRequest

SETTINGS = GatewaySettings(api_key="sk")
SCHEMA = {"type": "object"}
TEXT = '{"type":"object"}'


def guide(**body: Any) -> Guide | None:
    messages = [{"role": "user", "content": "hi"}]
    return chat_ask({"model": "m", "messages": messages, **body}, SETTINGS).calls[0].guide


@pytest.mark.parametrize(
    ("body", "made"),
    [
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "regex", "regex": "a+"}}, Guide("regex", "a+")),
        ({"response_format": {"type": "grammar", "grammar": "g"}}, Guide("ebnf_grammar", "g")),
        ({"response_format": {"type": "choice", "choice": ["a"]}}, Guide("choice", '["a"]')),
        ({"guided_json": SCHEMA}, Guide("json_schema", TEXT)),
        ({"guided_regex": "a+", "guided_json": None}, Guide("regex", "a+")),
        ({"guided_choice": ["a", "b"]}, Guide("choice", '["a","b"]')),
        ({"guided_grammar": "g"}, Guide("ebnf_grammar", "g")),
        ({"structured_outputs": {"json": SCHEMA}}, Guide("json_schema", TEXT)),
        ({"structured_outputs": {"json_object": True, "json": None}}, Guide("json")),
        ({"structured_outputs": {"regex": "a+"}}, Guide("regex", "a+")),
    ],
)
def test_every_form_becomes_a_guide(body: dict[str, Any], made: Guide | None) -> None:
    assert guide(**body) == made
    assert completions_ask({"model": "m", "prompt": "p", **body}, SETTINGS).calls[0].guide == made


@pytest.mark.parametrize(("strict", "kind"), [(True, "strict_json_schema"), (None, "json_schema")])
def test_a_strict_schema_is_held_to_more_rules(strict: bool | None, kind: str) -> None:
    asked = {"name": "x", "schema": SCHEMA, "strict": strict}
    assert guide(response_format={"type": "json_schema", "json_schema": asked}) == Guide(kind, TEXT)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"response_format": {"type": "regex"}}, "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"schema": {}, "strict": 1},
                }
            },
            "response_format",
        ),
        ({"guided_regex": "a", "guided_json": {}}, "guided_regex"),
        ({"guided_regex": "a", "response_format": {"type": "text"}}, "guided_regex"),
        ({"guided_json": "a"}, "guided_json"),
        ({"guided_choice": [1]}, "guided_choice[0]"),
        ({"structured_outputs": {}}, "structured_outputs"),
        ({"structured_outputs": {"regex": "a", "choice": ["a"]}}, "structured_outputs"),
        ({"structured_outputs": {"structural_tag": "a"}}, "structured_outputs"),
        ({"structured_outputs": {"regex": 7}}, "structured_outputs"),
    ],
)
def test_what_is_no_form_is_refused_by_its_field(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        guide(**body)
    assert refused.value.param == param

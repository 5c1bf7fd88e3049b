"""A model's family is what its chat template says, or what the operator says."""

import importlib.util
import re
from pathlib import Path

import pytest

from serving.text.tools.families import family_of
from serving.text.tools.json_tags import JSON_TAGS
from serving.text.tools.llama3 import LLAMA3
from serving.text.tools.mistral import MISTRAL
from serving.text.tools.mistral_args import MISTRAL_ARGS

ROOT = Path(__file__).parents[5]
QWEN = "{% if tools %}within <tool_call></tool_call> XML tags{{ tools }}"
HERMES_ON_LLAMA = "{% if tools %}<|python_tag|> <tool_call>"
LLAMA_3_1 = '{% if tools %}{"name": n, "parameters": p}<|python_tag|>'
LLAMA_3_2 = '{% if tools %}Environment: ipython {"name": n, "parameters": p}'
MISTRAL_7B = "{% if tools %}[AVAILABLE_TOOLS][TOOL_CALLS]"


def demo_template():
    path = ROOT / "build/demo_model/template.py"
    spec = importlib.util.spec_from_file_location("demo_template", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CHAT_TEMPLATE


@pytest.mark.parametrize(
    ("template", "family"),
    [
        (QWEN, JSON_TAGS),
        (HERMES_ON_LLAMA, JSON_TAGS),
        (demo_template(), JSON_TAGS),
        (LLAMA_3_1, LLAMA3),
        (LLAMA_3_2, LLAMA3),
        (MISTRAL_7B, MISTRAL),
        (MISTRAL_7B + "[ARGS]", MISTRAL_ARGS),
        ("{% if tools %}<|tool_sep|>", None),
        ("<tool_call> but no list of them", None),
        (None, None),
    ],
)
def test_the_template_tells_the_family(template, family):
    assert family_of(template) is family


def test_the_operator_may_say_another():
    assert family_of(LLAMA_3_1, "json_tags") is JSON_TAGS
    assert family_of(QWEN, "none") is None
    assert family_of("{{ messages }}", "json_tags") is None


def test_a_family_that_is_not_known_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match="'xml', it must be one of json_tags, mistral_args, m"):
        family_of(QWEN, "xml")


def test_ids_are_as_the_templates_of_the_family_take_them():
    assert re.fullmatch(r"call_[0-9a-f]{24}", JSON_TAGS.new_id())
    assert re.fullmatch(r"[a-zA-Z0-9]{9}", MISTRAL.new_id())

"""The demo model's language with the chat template that knows tools."""

import importlib.util
from dataclasses import replace
from pathlib import Path

from serving.bls.language import Language
from serving.text.template import ChatTemplate
from serving.text.tools.families import family_of

ROOT = Path(__file__).parents[4]
THINKING = "{% if tools %}{{ tools }}{% endif %}<tool_call></think>{{ messages[0].content }}"


def tool_template():
    spec = importlib.util.spec_from_file_location("t", ROOT / "build/demo_model/template.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CHAT_TEMPLATE


def speaking(language: Language, source: str) -> Language:
    """`language` as if its model had the chat template `source`."""
    return replace(
        language,
        template=ChatTemplate(source, {}),
        tools=family_of(source),
        has_reasoning="</think>" in source,
    )


def tool(name, **parameters):
    function = {"name": name, "description": f"{name} it"}
    if parameters:
        function["parameters"] = {"type": "object", "properties": parameters}
    return {"type": "function", "function": function}


GET, WAIT = tool("get", city={"type": "string"}), tool("wait")
HELLO = ({"role": "user", "content": "hello"},)

"""The real engine makes a call where a grammar forces it, whatever the model would have said."""

import json

import numpy as np
import pytest

from serving.contract.tools import joined
from serving.engines.engine import Engine
from serving.engines.messages import EngineSettings
from serving.engines.requests import EngineRequest
from serving.text.model_files import end_ids
from serving.text.tools.json_tags import JSON_TAGS
from serving.text.tools.llama3 import LLAMA3
from serving.text.tools.reading import Reading

MOST_TOKENS = 120
SCHEMA = {
    "type": "object",
    "properties": {
        "days": {"type": "integer", "enum": [1, 22]},
        "city": {"type": "string", "enum": ["Oslo", "Rome"]},
        "unit": {"anyOf": [{"const": True}, {"type": "null"}]},
    },
    "required": ["city"],
}


def tool(name):
    return {"type": "function", "function": {"name": name, "parameters": SCHEMA}}


@pytest.fixture(scope="module")
def engine(demo_model):
    return Engine(EngineSettings(demo_model, 4096, 8, 256))


def made_by(engine, tokenizer, request):
    engine.add((1, 0, 0), request)
    tokens = []
    while not engine.is_idle:
        for update in engine.step():
            assert update.error is None
            tokens += update.tokens
    return tokenizer.decode(tokens)


@pytest.mark.parametrize("family", [JSON_TAGS, LLAMA3])
@pytest.mark.parametrize("names", [("get",), ("wait", 'say "é"')])
def test_a_grammar_forces_one_call(engine, demo_model, tokenizer, family, names):
    prompt = "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    ids = np.array(tokenizer.encode(prompt, has_template=True), np.int64)
    guide = family.guide_of([tool(name) for name in names])
    for seed in range(6):
        request = EngineRequest(
            ids, MOST_TOKENS, end_id=end_ids(demo_model)[0], guide=guide, temperature=1.0, seed=seed
        )
        text = made_by(engine, tokenizer, request)
        reading = Reading(None, family, names)
        said = reading.push(text) + reading.end()
        (call,) = joined(said.calls)
        assert (said.content, said.reasoning) == ("", "")
        assert call.name in names
        assert reading.has_whole_call
        made = json.loads(call.arguments)
        assert made["city"] in ("Oslo", "Rome")
        assert made.keys() <= {"city", "days", "unit"}
        assert isinstance(made.get("days", 0), int)
        assert made.get("unit") in (True, None)

"""`<tool_call>{"name": …, "arguments": {…}}</tool_call>`: Hermes, Qwen and the demo model."""

from functools import partial

from serving.text.tools.family import Family
from serving.text.tools.grammar import calls_in_text, one_call
from serving.text.tools.parser import Syntax

START, END = "<tool_call>", "</tool_call>"

JSON_TAGS = Family(
    "json_tags",
    Syntax(START, end=END),
    marks=((START,),),
    guide_of=partial(one_call, arguments="arguments", start=START, end=END),
    text_guide_of=partial(calls_in_text, arguments="arguments", start=START, end=END),
)

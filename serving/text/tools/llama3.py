"""`{"name": …, "parameters": {…}}`, bare or after `<|python_tag|>`, `;` between two: Llama 3."""

from functools import partial

from serving.text.tools.family import Family
from serving.text.tools.grammar import one_call
from serving.text.tools.parser import Syntax

START = "<|python_tag|>"

LLAMA3 = Family(
    "llama3",
    Syntax(START, between=";", is_bare=True),
    marks=((START,), ("Environment: ipython", '"parameters"')),
    guide_of=partial(one_call, arguments="parameters"),
)

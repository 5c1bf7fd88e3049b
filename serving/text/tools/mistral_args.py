"""`[TOOL_CALLS]name[ARGS]{…}`, one after another: Mistral's models from their tokenizer v11 on."""

from serving.text.tools.family import Family
from serving.text.tools.mistral import new_id
from serving.text.tools.parser import Syntax

MISTRAL_ARGS = Family(
    "mistral_args",
    Syntax("[TOOL_CALLS]", after_name="[ARGS]"),
    marks=(("[TOOL_CALLS]", "[ARGS]"),),
    new_id=new_id,
)

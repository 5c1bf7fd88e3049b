"""`[TOOL_CALLS][{"name": …, "arguments": {…}}, …]`: Mistral's models up to their tokenizer v7."""

import secrets
import string

from serving.text.tools.family import Family
from serving.text.tools.parser import Syntax

_ID_LENGTH = 9  # its chat templates refuse ids of any other


def new_id() -> str:
    """Of a call."""
    letters = string.ascii_letters + string.digits
    return "".join(secrets.choice(letters) for _ in range(_ID_LENGTH))


# A grammar is of text, and `[TOOL_CALLS]` is a control token: none can force a call.
MISTRAL = Family(
    "mistral",
    Syntax("[TOOL_CALLS]", before="[", between=",", end="]"),
    marks=(("[TOOL_CALLS]",),),
    new_id=new_id,
)

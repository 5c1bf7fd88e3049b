"""Which family a model is of, by what its chat template says."""

import re

from serving.text.tools.family import Family
from serving.text.tools.json_tags import JSON_TAGS
from serving.text.tools.llama3 import LLAMA3
from serving.text.tools.mistral import MISTRAL
from serving.text.tools.mistral_args import MISTRAL_ARGS

# The first that fits: tunes of Llama 3 with Hermes' tags still have some of Llama's texts.
FAMILIES = (JSON_TAGS, MISTRAL_ARGS, MISTRAL, LLAMA3)
NONE = "none"
_TOOLS = re.compile(r"\btools\b")


def family_of(template: str | None, asked: str | None = None) -> Family | None:
    """The family of a model with that chat template; None where it is not told of its tools.

    `asked` is the name of the one to use, or `none`; None: as the template says. The template has
    to read `tools` in any case. Raises ValueError for a name that is not known.
    """
    if asked not in (None, NONE, *(family.name for family in FAMILIES)):
        names = ", ".join([*(family.name for family in FAMILIES), NONE])
        raise ValueError(f"tool_format is '{asked}', it must be one of {names}")
    if template is None or asked == NONE or not _TOOLS.search(template):
        return None
    fits = (f for f in FAMILIES if (_is_marked(f, template) if asked is None else f.name == asked))
    return next(fits, None)


def _is_marked(family: Family, template: str) -> bool:
    return any(all(mark in template for mark in marks) for marks in family.marks)

"""OpenAI's service tiers and our classes, each in the words of the other."""

from typing import Literal

from gateway.ask import Ask
from gateway.stages.priority import class_of

ServiceTier = Literal["auto", "default", "flex", "priority", "scale"]

# Those that are not here leave the class open.
CLASS_OF: dict[str, str] = {"priority": "interactive", "flex": "batch"}
_TIER_OF = {"interactive": "priority", "standard": "default", "agent": "flex", "batch": "flex"}


def tier_field(ask: Ask) -> dict[str, str]:
    """The tier that is used, for an answer to who asked for one."""
    if ask.service_tier is None:
        return {}
    return {"service_tier": _TIER_OF[class_of(ask)]}

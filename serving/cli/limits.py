"""Limits in words."""

from collections.abc import Mapping
from typing import Any

NUSD = 10**9  # nanodollars in a dollar
FORMS = {
    "requests_per_minute": "{:,} requests/min",
    "input_tokens_per_minute": "{:,} input tokens/min",
    "output_tokens_per_minute": "{:,} output tokens/min",
    "concurrent_requests": "{:,} requests at a time",
    "tokens_per_day": "{:,} tokens/day",
    "budget_nusd": "${:,.2f}/month",
    "soft_budget_nusd": "a warning at ${:,.2f}/month",
}


def in_words(limits: Mapping[str, Any]) -> str:
    """One line of those that are set, in the form that the control plane has them in."""
    found = ((name, limits.get(name)) for name in FORMS)
    said = [_said(name, value) for name, value in found if value is not None]
    return ", ".join(said) or "no limits"


def _said(name: str, value: int) -> str:
    return FORMS[name].format(value / NUSD if name.endswith("_nusd") else value)

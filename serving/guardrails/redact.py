"""Masks personal data and secrets in texts that are kept. It errs towards masking."""

from collections.abc import Callable
from typing import Any

from serving.guardrails import personal, secrets
from serving.guardrails.findings import Finding, found_by, replaced


def redact(text: str) -> str:
    """`text` with everything that is found in it masked, e.g. `[email]`."""
    found = findings(text)
    return replaced(text, [(f.begin, f.end) for f in found], [f"[{f.what}]" for f in found])


def redact_json(value: Any) -> Any:
    """`value`, a JSON value, with all strings in it redacted; names of fields stay."""
    return with_texts(value, redact)


def with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """`value`, a JSON value, with all strings in it changed; names of fields stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [with_texts(item, change) for item in value]
    if isinstance(value, dict):
        return {name: with_texts(item, change) for name, item in value.items()}
    return value


def findings(text: str) -> list[Finding]:
    """What is found, in order, without overlaps: the kinds with the surest signs go first."""
    return found_by((*secrets.DETECTORS, *personal.DETECTORS), text)

"""Finds what a text has too much."""

from serving.guardrails.findings import Finding


def excess(text: str, max_characters: int) -> list[Finding]:
    """What comes after the first `max_characters`."""
    if len(text) <= max_characters:
        return []
    return [Finding("size", max_characters, len(text))]

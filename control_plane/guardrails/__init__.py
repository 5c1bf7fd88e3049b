"""Guardrail policies: what texts and calls of tools are checked by."""

"""Checks of calls of tools: which tool, with which arguments, how often, after what. Pure."""

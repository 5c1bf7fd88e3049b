"""Calls of tools and reasoning in the text that a model makes: found while it comes. Pure."""

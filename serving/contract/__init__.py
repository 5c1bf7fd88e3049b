"""Frozen data that services exchange: calls and chunks, tensor tables, the error tree."""

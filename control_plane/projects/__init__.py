"""Pieces of work of a tenant."""

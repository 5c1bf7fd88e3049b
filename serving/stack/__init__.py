"""Starts and watches the parts of a Conch stack on this machine."""

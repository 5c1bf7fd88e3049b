"""The one error of the stack: a line for the person at the terminal."""


class StackError(Exception):
    """What stops the stack, which value or port it is, and what to change; one line."""

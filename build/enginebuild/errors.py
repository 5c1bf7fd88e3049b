"""What stops a build: one line for the person at the terminal."""

from serving.stack.errors import StackError


class BuildError(StackError):
    """Says what is wrong, with which recipe, file or step, and what to change."""

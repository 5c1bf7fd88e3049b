"""`conch`: the commands, and the one place where an error of the stack becomes a line."""

import os
from importlib import import_module
from importlib.metadata import version as version_of
from typing import Any

import typer
from dotenv import dotenv_values
from typer.core import TyperGroup

from serving.cli.terminal import errors, output
from serving.settings.secret_files import BadSettings
from serving.stack.errors import StackError

COMMANDS = (
    *("up", "down", "status", "logs", "chat", "build", "triton", "config"),
    *("tenants", "projects", "keys", "users", "issuers", "models", "policy", "usage"),
    *("adapters", "requests", "guardrails", "approvals", "cache"),
)


class Commands(TyperGroup):
    """Imports a command when it is called: `conch down` does not wait for what `conch up` needs."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module = import_module(f"serving.cli.{cmd_name}")
        found = getattr(module, cmd_name)
        if isinstance(found, typer.Typer):  # a group of commands
            group = typer.main.get_command(found)
            group.name = cmd_name
            return group
        alone = typer.Typer(add_completion=False)
        alone.command(cmd_name)(found)
        return typer.main.get_command(alone)

    def invoke(self, ctx: Any) -> Any:
        """Such an error is for the person at the terminal: a line and exit code 1, no traceback."""
        try:
            return super().invoke(ctx)
        except (StackError, BadSettings) as error:
            errors.print(f"error: {error}", style="red", markup=False, highlight=False)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they print local variables, keys among them
)


@app.callback()
def read_dotenv() -> None:
    """Conch: a self-hosted LLM platform on NVIDIA Triton."""
    for name, value in dotenv_values(".env").items():
        os.environ.setdefault(name, value or "")


@app.command()
def version() -> None:
    """Print the version."""
    output.print(version_of("conch-llm"), highlight=False)

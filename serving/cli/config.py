"""`conch config`: every variable there is, what it is set to, and whether that can be used."""

import textwrap
from collections.abc import Iterator

import typer
from rich.table import Table
from rich.text import Text

from serving.cli.terminal import errors, output
from serving.settings.base import BadSettings, Settings, load, variable
from serving.settings.secret_files import read_secret
from serving.settings.table import Variable, value, variables
from serving.stack.catalogue import SETTINGS, all_settings, unknown_variables

WIDTH = 100
MADE = "(made by `conch up`)"
HEAD = """\
# Every variable and its default. Copy to `.env` (the `conch` command reads it) and uncomment what
# you change; a variable of the environment wins over the file. `conch config example` wrote this.
"""

config = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Show the settings, or check them."
)


@config.command()
def show() -> None:
    """Show every variable: its value, its default, and what it is."""
    problems: list[str] = []
    table = Table("variable", "value", "default", "what it is", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for title, group in SETTINGS.items():
        table.add_section()
        table.add_row(Text(title, style="bold"))
        for settings in group:
            loaded = _loaded(settings, problems)
            for row in variables(settings):
                told = (row.name, _value(settings, loaded, row), row.default, row.description)
                table.add_row(*map(Text, told))
    output.print(table)
    _tell(problems)


@config.command()
def check() -> None:
    """Load all settings; every value that cannot be used is a line, and the exit code is 1."""
    problems: list[str] = []
    for settings in all_settings():
        _loaded(settings, problems)
    _tell(problems)
    output.print("all settings can be used")


@config.command()
def example() -> None:
    """Print `.env.example`: every variable with its default, as comments."""
    output.out(example_text(), end="", highlight=False)


def example_text() -> str:
    sections = (_section(title, group) for title, group in SETTINGS.items())
    return "".join([HEAD, *(line for section in sections for line in section)])


def _section(title: str, group: tuple[type[Settings], ...]) -> Iterator[str]:
    yield f"\n{f'# --- {title} ':-<{WIDTH}}\n"
    for settings in group:
        for row in variables(settings):
            yield from (f"# {line}\n" for line in textwrap.wrap(row.description, WIDTH - 2))
            yield f"# {row.name}={row.default}\n"


def _loaded(settings: type[Settings], problems: list[str]) -> Settings | None:
    """The settings of the environment; what is bad about them is added to `problems`."""
    try:
        return load(settings, **_made(settings))
    except BadSettings as error:
        problems.extend(error.lines)
        return None


def _made(settings: type[Settings]) -> dict[str, str]:
    """In place of secrets that have to be set, but that `conch up` makes where they are not."""
    wanted = (name for name, info in settings.model_fields.items() if info.is_required())
    return {name: MADE.ljust(64) for name in wanted if not read_secret(variable(settings, name))}


def _value(settings: type[Settings], loaded: Settings | None, row: Variable) -> str:
    if loaded is None:
        return ""
    if row.field in _made(settings):
        return MADE
    return value(loaded, row)


def _tell(problems: list[str]) -> None:
    """Warnings, then what is wrong; exit code 1 when there is something."""
    for line in unknown_variables():
        errors.print(f"warning: {line}", style="yellow", markup=False, highlight=False)
    for line in problems:
        errors.print(f"error: {line}", style="red", markup=False, highlight=False)
    if problems:
        raise typer.Exit(1)

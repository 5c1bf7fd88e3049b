"""`conch build`: a recipe to a served model, or to a plan of how it is built on a GPU."""

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.connection import layout
from serving.cli.terminal import output
from serving.settings.base import load
from serving.stack.settings import StackSettings


def build(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a TOML file.")],
    plan: Annotated[
        bool, typer.Option("--plan", help="Write the commands for a GPU and their sizes; run none.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="The folder for the plan; default: in CONCH_VAR/builds.")
    ] = None,
    tools: Annotated[
        Path | None,
        typer.Option(help="The Python that has conch-llm[build], where it is not this one."),
    ] = None,
) -> None:
    """Build the model of a recipe, verify and publish it, and load it where a stack runs."""
    from enginebuild import pipeline  # here: other commands do without the toolchain
    from enginebuild.told import shown

    site = pipeline.Site.of(layout(), load(StackSettings).model_repository, tools)
    with shown(output) as told:
        if plan:
            pipeline.plan(recipe, site, told, out)
        else:
            pipeline.build(recipe, site, told)

"""The steps of an OpenVINO build between the source and what is published."""

from pathlib import Path

from enginebuild import convert as conversion
from enginebuild import render as rendering
from enginebuild import repository, sources
from enginebuild import verify as verifying
from enginebuild.manifest import Manifest
from enginebuild.recipe import Recipe
from enginebuild.told import Told
from enginebuild.workplace import Steps
from serving.contract.pbtxt import render as config_text
from serving.text.model_files import context_length

NOT_COMPILED = "nothing to do: OpenVINO compiles when it loads"


def make(
    recipe: Recipe, source: Path, steps: Steps, manifest: Manifest, tools: Path, told: Told
) -> Path:
    """Convert, compile, render, verify; returns the folder of the verified Triton models."""
    conversion.check(recipe, sources.kind_of(source))
    converted = steps.run(
        "convert",
        [sources.digest(manifest.inputs), _conversion(recipe), manifest.tools],
        lambda folder: conversion.convert(recipe, source, folder, tools),
    )
    model = conversion.model_in(converted)
    tokens = context_length(model)
    steps.run("compile", recipe.engine, lambda _: NOT_COMPILED)
    rendered = steps.run(
        "render",
        _configs(recipe, model, tokens),
        lambda folder: rendering.render(recipe, converted, model, tokens, folder),
    )
    served = rendered / f"{recipe.name}_engine" / "1" / model.name
    verified = steps.run(
        "verify",
        [golden.model_dump(mode="json") for golden in recipe.golden],
        lambda folder: verifying.verify(
            recipe, verifying.settings_of(recipe, served), folder, told
        ),
    )
    manifest.golden = verifying.answers_in(verified)
    return rendered


def _conversion(recipe: Recipe) -> object:
    has_lora = recipe.lora is not None
    return [conversion.REVISION, recipe.precision, has_lora, recipe.context_length]


def _configs(recipe: Recipe, model: Path, context_tokens: int) -> list[str]:
    deployment = rendering.deployment(recipe, model.name, context_tokens)
    return [config_text(entry) for entry in repository.entries(deployment)]

"""The plan of a TensorRT-LLM build, to read and to run: script, Dockerfile, models, arithmetic."""

import shutil
from dataclasses import asdict
from pathlib import Path

from enginebuild import gpu_commands, gpu_prompts, gpu_render
from enginebuild import manifest as manifests
from enginebuild.errors import BuildError
from enginebuild.gpu_commands import IMAGE
from enginebuild.gpu_shape import shape_for
from enginebuild.gpu_sizes import Sizes, sizes
from enginebuild.gpu_words import plan_text
from enginebuild.kinds import KINDS
from enginebuild.manifest import Manifest
from enginebuild.recipe import Recipe
from serving.text.model_files import context_length

_DOCKERFILE = """\
# Builds '{name}' where there is an NVIDIA GPU: NVIDIA's container with the plan in it.
FROM {image}:{container}
COPY . /plan
ENTRYPOINT ["bash", "/plan/build.sh"]
"""


def write(recipe: Recipe, recipe_file: Path, source: Path | None, folder: Path) -> Sizes:
    """Fill `folder` anew. Raises BuildError for what would not fit."""
    if recipe.engine == "openvino":
        raise BuildError("engine 'openvino' needs no plan: `conch build` runs it here")
    shape = shape_for(recipe, source)
    tokens = context_tokens(recipe, source)
    found = sizes(recipe, shape, tokens)
    _clear(folder)
    gpu_render.write(recipe, found, tokens, folder / "models")
    has_prompts = gpu_prompts.write(recipe, source, folder / gpu_prompts.PROMPTS)
    script = gpu_commands.script(recipe, has_prompts=has_prompts)
    (folder / "build.sh").write_text(script, encoding="utf-8")
    dockerfile = _DOCKERFILE.format(name=recipe.name, image=IMAGE, container=recipe.container)
    (folder / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    (folder / "PLAN.md").write_text(plan_text(recipe, shape, found, tokens), encoding="utf-8")
    shutil.copyfile(recipe_file, folder / "recipe.toml")
    manifests.write(folder, _manifest(recipe))
    return found


def context_tokens(recipe: Recipe, source: Path | None) -> int:
    """Prompt and answer together; trtllm fixes them when it builds."""
    if recipe.context_length is not None:
        return recipe.context_length
    if source is None:
        raise BuildError("context_length is needed: the model that would tell it is not here")
    return context_length(source)


def _manifest(recipe: Recipe) -> Manifest:
    kind = KINDS[recipe.engine]
    return Manifest(
        recipe.name,
        recipe.model_dump(mode="json", exclude_none=True),
        {"name": recipe.engine} | asdict(kind),
        tools=manifests.tool_versions() | {"container": recipe.container},
        source=recipe.source,
        not_run=[kind.not_run],
    )


def _clear(folder: Path) -> None:
    """Only of what an earlier plan wrote; a folder with anything else is refused."""
    if folder.exists() and any(folder.iterdir()) and not (folder / "PLAN.md").is_file():
        raise BuildError(f"'{folder}' has other things in it; name a folder of its own with --out")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)

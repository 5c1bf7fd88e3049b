"""The Triton models of a build, as folders: what the recipe says becomes parameters of configs."""

import re
from pathlib import Path

from enginebuild import repository
from enginebuild.disk import link
from enginebuild.errors import BuildError
from enginebuild.recipe import Recipe
from enginebuild.repository import Deployment
from serving.contract.engine_kinds import KIND_PARAMETER

DEFAULT_KV_TOKENS = 32768
_OPEN_VARIABLE = re.compile(r"\$\{[^}]*\}?")


def deployment(recipe: Recipe, model: str, context_tokens: int) -> Deployment:
    """How OpenVINO serves `model`, a file or folder inside the engine's version folder."""
    path = f"../../{recipe.name}_engine/1/{model}"
    parameters = engine_parameters(recipe, context_tokens)
    return Deployment(recipe.name, path, parameters, bls_parameters(recipe))


def bls_parameters(recipe: Recipe) -> dict[str, str]:
    """What the BLS model is told beside; how its model writes calls it reads from the template."""
    return {} if recipe.tool_format is None else {"tool_format": recipe.tool_format}


def engine_parameters(recipe: Recipe, context_tokens: int) -> dict[str, str]:
    """`context_tokens` is the model's; the KV cache holds one sequence of them at least."""
    return {
        KIND_PARAMETER: recipe.engine,
        "max_tokens_in_paged_kv_cache": str(kv_tokens(recipe, context_tokens)),
        "max_num_sequences": str(recipe.max_batch),
    } | lora_parameters(recipe)


def kv_tokens(recipe: Recipe, context_tokens: int) -> int:
    """As many as a full batch can fill, within reason, or as the recipe says."""
    budget = min(recipe.max_batch * context_tokens, DEFAULT_KV_TOKENS)
    return recipe.kv_tokens or max(budget, context_tokens)


def lora_parameters(recipe: Recipe) -> dict[str, str]:
    """The same keys for every engine kind; the BLS model gets them too."""
    lora = recipe.lora
    if lora is None:
        return {"lora_max_adapters": "0"}
    return {
        "lora_max_adapters": str(lora.max_adapters),
        "lora_max_rank": str(lora.max_rank),
        "lora_target_modules": ",".join(module.engine_name for module in lora.engine_modules),
    }


def render(recipe: Recipe, converted: Path, model: Path, context_tokens: int, folder: Path) -> str:
    """Write every entry below `folder`, the model's files into the engine's."""
    repository.write(deployment(recipe, model.name, context_tokens), folder)
    link(converted, folder / f"{recipe.name}_engine" / "1")
    check_closed(folder)
    return ", ".join(sorted(path.name for path in folder.iterdir()))


def check_closed(folder: Path) -> None:
    """Raises BuildError for a template variable that nobody filled in."""
    for config in sorted(folder.rglob("config.pbtxt")):
        if found := _OPEN_VARIABLE.search(config.read_text()):
            raise BuildError(f"{config.parent.name}/config.pbtxt leaves {found[0]} open")

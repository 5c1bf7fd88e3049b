"""The shape of the model that is built for a GPU: its config.json's, or else the recipe's."""

import json
from pathlib import Path

from enginebuild.errors import BuildError
from enginebuild.recipe import Recipe, Shape
from serving.lora.shape import shape_of


def shape_for(recipe: Recipe, source: Path | None) -> Shape:
    """Raises BuildError when neither tells it, and when the two differ."""
    own = None if source is None else _shape_in(source)
    if own is None and recipe.shape is None:
        raise BuildError(
            f"the sizes need the shape of '{recipe.source}', which is not here: give a [shape]"
        )
    if own is not None and recipe.shape not in (None, own):
        raise BuildError(f"shape: the recipe's differs from that in '{source}/config.json': {own}")
    shape = own or recipe.shape
    assert shape is not None
    if shape.heads % recipe.tensor_parallelism:
        raise BuildError(
            f"tensor_parallelism = {recipe.tensor_parallelism}: it must divide the "
            f"{shape.heads} heads"
        )
    return shape


def _shape_in(source: Path) -> Shape | None:
    path = source / "config.json"
    if not path.is_file():
        return None
    try:
        found, config = shape_of(source), json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BuildError(str(error)) from error
    return Shape(
        layers=found.layers,
        hidden=found.hidden,
        intermediate=found.intermediate,
        heads=found.heads,
        kv_heads=found.kv_heads,
        head_dim=found.head_dim,
        vocab=config["vocab_size"],
    )

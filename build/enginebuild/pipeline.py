"""One build from the recipe to the served model: fetch → convert → compile → render → verify →
publish → load. Each step is kept for the next build, which begins where this one ended."""

import sys
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from enginebuild import fetch as fetching
from enginebuild import gpu_plan, gpu_steps, loading, openvino_steps
from enginebuild import manifest as manifests
from enginebuild import publish as publishing
from enginebuild import recipe as recipes
from enginebuild.errors import BuildError
from enginebuild.kinds import KINDS
from enginebuild.manifest import Manifest
from enginebuild.publish import Shelf
from enginebuild.recipe import Recipe
from enginebuild.told import Told
from enginebuild.workplace import Steps, Workplace
from serving.stack import state
from serving.stack.layout import Layout

_HOW_TO_SERVE = {"openvino": "no stack of its own runs here; `conch up` serves the model"}
_IN_NVIDIAS = "NVIDIA's Triton serves it: `docker compose --profile gpu up`"


@dataclass(frozen=True, slots=True)
class Site:
    """Where builds happen and go. `triton_url`: the HTTP API of the stack that runs, if one does.

    `tools` is the Python that has optimum-intel.
    """

    builds: Path
    shelf: Shelf
    triton_url: str | None
    tools: Path

    @classmethod
    def of(cls, layout: Layout, shipped: Path, tools: Path | None) -> "Site":
        """That of a stack's folder, and of the stack in it while it runs."""
        running = state.running(layout)
        return cls(
            layout.root / "builds",
            Shelf(layout.models, shipped),
            None if running is None else running.triton_http,
            tools or Path(sys.executable),
        )

    def workplace(self, name: str) -> Workplace:
        return Workplace(self.builds / name)


def build(recipe_file: Path, site: Site, told: Told) -> Recipe:
    """Build what the recipe says, publish it, and load it where a stack runs.

    Raises BuildError; then nothing of the model is to be seen, or what was there before.
    """
    recipe = recipes.load(recipe_file)
    site.shelf.check(recipe.name)
    if recipe.engine != "openvino":
        gpu_steps.check(recipe)
    place = site.workplace(recipe.name)
    with place.locked():
        manifest = _begun(place, recipe)
        rendered = _make(recipe, recipe_file, Steps(place, manifest, told), manifest, site, told)
        published = _publish(recipe.name, rendered, manifest, place, site.shelf, told)
        _load(published, place, site, told)
    return recipe


def plan(recipe_file: Path, site: Site, told: Told, out: Path | None) -> Path:
    """Write how the recipe would be built on a GPU; returns the folder. Raises BuildError."""
    recipe = recipes.load(recipe_file)
    site.shelf.check(recipe.name)
    folder = out or site.workplace(recipe.name).plan
    local = fetching.local_source(recipe, recipe_file)
    gpu_plan.write(recipe, recipe_file, local, folder)
    told.note(f"{folder / 'PLAN.md'}: the plan; nothing of it was run")
    return folder


def _begun(place: Workplace, recipe: Recipe) -> Manifest:
    """The manifest of the last build of this name, told of this one; or a new one."""
    manifest = manifests.read(place.work) or Manifest(recipe.name, {}, {})
    manifest.recipe = recipe.model_dump(mode="json", exclude_none=True)
    kind = KINDS[recipe.engine]
    manifest.engine_kind = {"name": recipe.engine} | asdict(kind)
    manifest.not_run = [kind.not_run] if kind.not_run else []
    manifest.tools = manifests.tool_versions()
    return manifest


def _make(
    recipe: Recipe, file: Path, steps: Steps, manifest: Manifest, site: Site, told: Told
) -> Path:
    """The steps up to the verified Triton models; returns their folder."""
    local = fetching.local_source(recipe, file)
    fetched = steps.run(
        "fetch",
        fetching.needs(recipe, local),
        lambda folder: fetching.fetch(recipe, local, folder, told),
        goes_on=local is None,
    )
    source = fetching.source_in(local, fetched)
    manifest.source, manifest.inputs = recipe.source, fetching.inputs(fetched)
    if recipe.engine == "openvino":
        rendered = openvino_steps.make(recipe, source, steps, manifest, site.tools, told)
    else:
        place = site.workplace(recipe.name)
        rendered = gpu_steps.make(recipe, file, source, steps, manifest, place)
    manifest.build = steps.key
    return rendered


def _publish(
    name: str, rendered: Path, manifest: Manifest, place: Workplace, shelf: Shelf, told: Told
) -> Manifest:
    """The manifest as published; the work's own says so only when every folder is in place."""
    there = manifests.read(shelf.models / f"{name}_engine")
    is_there = shelf.has(name) and there is not None and there.build == manifest.build
    if is_there and manifest.published_at is not None:
        told.kept("publish", str(shelf.models))
        return manifest
    began = datetime.now(tz=UTC)
    told.begin("publish")
    manifests.write(place.work, replace(manifest, published_at=None))
    published = replace(manifest, published_at=began.isoformat())
    publishing.publish(shelf, name, rendered, published, place.aside)
    manifests.write(place.work, published)
    told.done("publish", str(shelf.models), _seconds_since(began))
    return published


def _load(manifest: Manifest, place: Workplace, site: Site, told: Told) -> None:
    """Into the running stack; what does not load there is withdrawn."""
    if manifest.engine_kind["name"] != "openvino" or site.triton_url is None:
        told.note(_HOW_TO_SERVE.get(manifest.engine_kind["name"], _IN_NVIDIAS))
        return
    if manifest.loaded == manifest.build and loading.is_ready(site.triton_url, manifest.name):
        told.kept("load", manifest.name)
        return
    began, loaded = datetime.now(tz=UTC), list[str]()
    told.begin("load")
    try:
        loading.load(site.triton_url, manifest.name, site.shelf.models, loaded.append)
    except BuildError:
        _withdraw(manifest, place, site.shelf, site.triton_url)
        raise
    manifests.write(place.work, replace(manifest, loaded=manifest.build))
    told.done("load", ", then ".join(loaded), _seconds_since(began))


def _withdraw(manifest: Manifest, place: Workplace, shelf: Shelf, triton_url: str) -> None:
    """What was replaced is loaded again, and what was new is taken out of memory."""
    publishing.withdraw(shelf, manifest.name, place.aside)
    manifests.write(place.work, replace(manifest, published_at=None))
    if shelf.has(manifest.name):
        loading.load(triton_url, manifest.name, shelf.models, lambda _: None)
    else:
        loading.unload(triton_url, manifest.name)


def _seconds_since(began: datetime) -> float:
    return (datetime.now(tz=UTC) - began).total_seconds()

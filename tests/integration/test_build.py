"""`conch build` with a stack that runs: a recipe ends with a model that answers."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from engine_client import connected
from rich.console import Console

from enginebuild import manifest, pipeline, publish
from enginebuild.errors import BuildError
from enginebuild.pipeline import Site
from enginebuild.publish import ENTRIES
from enginebuild.told import shown
from serving.contract.calls import Call, Sampling
from serving.contract.wire import decode_chunk, encode_call
from serving.stack.layout import Layout

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "build" / "recipes"
HELLO = ({"role": "user", "content": "hello"},)
GREEDY = Sampling(temperature=0.0, max_tokens=24)


async def answer(stack, model: str) -> str:
    async with connected(stack) as client:
        reply = await client.ask(model, encode_call(Call(messages=HELLO, sampling=GREEDY)))
        assert (reply.error, reply.finals) == (None, 1)
        return "".join(decode_chunk(arrays).text for arrays in reply.responses)


def build(stack, recipe: Path) -> str:
    done = stack.conch("build", str(recipe))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


@contextmanager
def unloaded(stack, name: str) -> Iterator[Path]:
    """The folder of published models; at the end the stack is as before."""
    try:
        yield stack.var / "models"
    finally:
        for suffix in reversed(ENTRIES):
            url = f"{stack.triton_http}/v2/repository/models/{name}{suffix}/unload"
            assert httpx.post(url, timeout=30).is_success


async def test_the_demo_recipe_ends_with_a_model_that_takes_adapters(stack):
    with unloaded(stack, "demo-lora") as models:
        assert build(stack, RECIPES / "demo.toml").startswith("✓ load     demo-lora_ensemble, then")
        assert await answer(stack, "demo-lora") == await answer(stack, "demo")
    engine = models / "demo-lora_engine"
    assert (engine / "1" / "model" / "openvino_model.xml").is_file()
    assert json.loads((engine / "manifest.json").read_text())["golden"][0]["is_met"]


async def test_a_gguf_recipe_ends_with_a_model_that_outlives_a_broken_successor(stack):
    with unloaded(stack, "demo-gguf") as models:
        build(stack, RECIPES / "demo-gguf.toml")
        before = (models / "demo-gguf" / "1" / "model.py").read_text()
        with pytest.raises(BuildError, match="model 'demo-gguf' fails to load"):
            await asyncio.to_thread(_publish_broken, stack, "demo-gguf")
        assert (models / "demo-gguf" / "1" / "model.py").read_text() == before
        assert await answer(stack, "demo-gguf") == await answer(stack, "demo")
    assert (models / "demo-gguf_engine" / "1" / "model.gguf").is_file()


def _publish_broken(stack, name: str) -> None:
    """What was verified is published again with a BLS model that no Triton loads."""
    site = Site.of(Layout(stack.var), ROOT / "model_repository", None)
    place = site.workplace(name)
    rendered = place.work / "render"
    (rendered / name / "1" / "model.py").unlink()
    (rendered / name / "1" / "model.py").write_text("raise ImportError('broken')\n")
    built = manifest.read(place.work)
    publish.publish(site.shelf, name, rendered, built, place.aside)
    with shown(Console(quiet=True)) as told:
        pipeline._load(replace(built, loaded=""), place, site, told)

"""PLAN.md: what will be run, what each number comes from, and what nobody has run."""

from collections.abc import Iterator

from enginebuild import gpu_commands, gpu_tables
from enginebuild.gpu_sizes import Sizes
from enginebuild.kinds import KINDS
from enginebuild.recipe import Recipe, Shape
from enginebuild.sources import HUB

_RUN = """\
```sh
docker build --tag conch-build-{name} .
mkdir -p work
docker run --rm --gpus all --ipc=host --ulimit memlock=-1 --ulimit stack=67108864 \\
  {mounts} --volume "$PWD/work:/build" conch-build-{name}
```

Steps: {steps}. One that is done is not done again, so the last command goes on where it was
interrupted. Then `work/models` is a Triton model repository: move its folders to `var/models`,
`{name}_engine` first and `{name}` last, and start NVIDIA's Triton on it:

```sh
CONCH_MODEL_NAME={name}{orchestrator} docker compose --profile gpu up --build --detach
```

The engine runs only with the TensorRT-LLM that built it, on the kind of GPU that built it:
`TRITON_TAG={container}`.
"""


def plan_text(recipe: Recipe, shape: Shape, sizes: Sizes, context_tokens: int) -> str:
    kind = KINDS[recipe.engine]
    rows = (
        *gpu_tables.memory(recipe, shape, sizes),
        *gpu_tables.kv_cache(recipe, shape, sizes, context_tokens),
    )
    lines = [
        f"# Plan: {recipe.name}",
        f"{kind.what}. **Not run where this was written**: {kind.not_run}.",
        f"`{recipe.source}`, precision {recipe.precision}, {recipe.tensor_parallelism} GPU(s) of "
        f"{recipe.gpu.memory_gib:g} GiB, container `{gpu_commands.IMAGE}:{recipe.container}`.",
        "## Run",
        _run(recipe),
        "## Sizes",
        "Estimates; the engine says its own when it loads. All are of each GPU.",
        gpu_tables.markdown(rows),
        *_adapters(recipe, shape, sizes),
        "## Files",
        "\n".join(_files(recipe)),
        *_golden(recipe),
    ]
    return "\n\n".join(line.rstrip() for line in lines) + "\n"


def _run(recipe: Recipe) -> str:
    is_fetched = recipe.source.startswith(HUB)
    steps = ["fetch"] if is_fetched else []
    steps += [*gpu_commands.STEPS[recipe.engine], "models"]
    return _RUN.format(
        name=recipe.name,
        mounts="--env HF_TOKEN" if is_fetched else "--volume SOURCE_FOLDER:/source:ro",
        steps=" → ".join(steps),
        orchestrator=" TRTLLM_ORCHESTRATOR=1" if recipe.tensor_parallelism > 1 else "",
        container=recipe.container,
    )


def _adapters(recipe: Recipe, shape: Shape, sizes: Sizes) -> Iterator[str]:
    yield "## Adapters"
    if recipe.lora is None or sizes.lora is None:
        yield "The recipe has no [lora]: the engine takes none."
    else:
        yield gpu_tables.markdown(gpu_tables.adapters(recipe, shape, recipe.lora, sizes.lora))


def _files(recipe: Recipe) -> Iterator[str]:
    yield "- `build.sh`: the commands, step by step; `Dockerfile`: where they run"
    yield f"- `models/`: the Triton models; what is built goes into `{recipe.name}_engine/1`"
    yield "- `manifest.json`: the recipe, the tools, and what was not run; `recipe.toml`"


def _golden(recipe: Recipe) -> Iterator[str]:
    if recipe.golden:
        yield "## Golden prompts"
        yield "To ask greedily (temperature 0) before clients do:"
        yield "\n".join(
            f"{number}. {g.prompt or [dict(m) for m in g.messages or ()]} → "
            + (f"exactly {g.expect!r}" if g.expect is not None else f"contains {g.contains!r}")
            for number, g in enumerate(recipe.golden, start=1)
        )

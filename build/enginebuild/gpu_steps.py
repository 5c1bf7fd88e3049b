"""The steps of a TensorRT-LLM build, each in NVIDIA's container. Written to run where a GPU is;
it never has been: what was run are the plans.
"""

import os
import shutil
import subprocess
from pathlib import Path

from enginebuild import gpu_commands, gpu_plan, gpu_prompts, sources
from enginebuild.errors import BuildError
from enginebuild.gpu_commands import IMAGE
from enginebuild.manifest import Manifest
from enginebuild.recipe import Recipe
from enginebuild.sources import SourceKind, kind_of
from enginebuild.workplace import Steps, Workplace

_LAST_LINES = 3


def check(recipe: Recipe) -> None:
    """Raises BuildError where this machine cannot build for NVIDIA's GPUs."""
    missing = [tool for tool in ("docker", "nvidia-smi") if shutil.which(tool) is None]
    if missing:
        raise BuildError(
            f"engine '{recipe.engine}' is built in NVIDIA's container on an NVIDIA GPU, and here "
            f"is no {' and no '.join(missing)}; --plan writes the commands to run elsewhere"
        )


def make(
    recipe: Recipe, file: Path, source: Path, steps: Steps, manifest: Manifest, place: Workplace
) -> Path:
    """Convert, compile, render, verify; returns the folder of the Triton models."""
    if kind_of(source) is not SourceKind.HUGGING_FACE:
        raise BuildError(f"engine '{recipe.engine}' is built from a Hugging Face folder")
    manifest.tools["container"] = recipe.container
    gpu_plan.write(recipe, file, source, place.plan)
    needs = [sources.digest(manifest.inputs), _built(recipe), _texts(place.plan)]
    for name in gpu_commands.STEPS[recipe.engine]:
        steps.run(name, needs, lambda folder, n=name: _run(n, recipe, source, place, folder))  # type: ignore[misc]
    models = steps.run(
        "models", needs, lambda folder: _run("models", recipe, source, place, folder)
    )
    if (place.plan / gpu_prompts.PROMPTS).is_file() and recipe.engine == "trtllm":
        golden = [golden.model_dump(mode="json") for golden in recipe.golden]
        verified = steps.run(
            "verify", golden, lambda folder: _verify(recipe, source, place, folder)
        )
        manifest.golden = gpu_prompts.check(recipe, source, verified)
    else:
        manifest.not_run.append("verify: ask the golden prompts when NVIDIA's Triton serves it")
    return models


def _built(recipe: Recipe) -> object:
    return recipe.model_dump(mode="json", exclude={"golden"})


def _texts(plan: Path) -> list[str]:
    return [
        p.read_text() for p in sorted(plan.rglob("*")) if p.name in ("build.sh", "config.pbtxt")
    ]


def _verify(recipe: Recipe, source: Path, place: Workplace, folder: Path) -> str:
    _run("verify", recipe, source, place, folder)
    answers = gpu_prompts.check(recipe, source, folder)
    return f"{len(answers)} golden prompts answered as expected"


def _run(step: str, recipe: Recipe, source: Path, place: Workplace, folder: Path) -> str:
    """One step of build.sh; raises BuildError with the last lines it printed."""
    log = place.root / f"{step}.log"
    line = command(step, recipe, source, place, folder)
    with log.open("wb") as file:
        status = subprocess.run(line, stdout=file, stderr=file, check=False).returncode
    if status:
        said = " / ".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
        raise BuildError(f"{step} ended with status {status}: {said}; see {log}")
    return f"in {recipe.container}, log {log}"


def command(step: str, recipe: Recipe, source: Path, place: Workplace, folder: Path) -> list[str]:
    """The container has the plan and the source read-only, and runs as whoever builds."""
    mounts = {source: "/source:ro", place.plan: "/plan:ro", place.work: "/build"}
    return [
        *("docker", "run", "--rm", "--gpus", "all", "--ipc=host"),
        *("--ulimit", "memlock=-1", "--ulimit", "stack=67108864"),
        *(
            "--user",
            f"{os.getuid()}:{os.getgid()}",
            "--env",
            "HOME=/tmp",
            "--env",
            "SOURCE=/source",
        ),
        *(f"--volume={path.resolve()}:{there}" for path, there in mounts.items()),
        f"{IMAGE}:{recipe.container}",
        *("bash", "/plan/build.sh", step, f"/build/{folder.name}"),
    ]

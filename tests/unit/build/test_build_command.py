"""`conch build` and `python build/engine.py` are the same command; a refusal is one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from build_site import RECIPES, ROOT, recipe_file

CONCH = [str(Path(sys.executable).with_name("conch")), "build"]
SCRIPT = [sys.executable, str(ROOT / "build" / "engine.py")]


def run(command: list[str], var: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"CONCH_VAR": str(var)}
    return subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_plan_is_written_and_named(tmp_path: Path) -> None:
    recipe = str(RECIPES / "llama-3.1-8b-llmapi.toml")
    done = run(CONCH, tmp_path, recipe, "--plan")
    plan = tmp_path / "builds" / "llama-3.1-8b-llmapi" / "plan" / "PLAN.md"
    assert done.stdout == f"{plan}: the plan; nothing of it was run\n", done.stderr
    assert plan.is_file()
    assert not (tmp_path / "models").exists()


def test_a_refusal_is_a_line_and_exit_code_1(tmp_path: Path) -> None:
    done = run(SCRIPT, tmp_path, str(recipe_file(tmp_path, colour="red")))
    assert done.returncode == 1
    assert done.stderr.startswith("error: recipe ")
    assert done.stderr.endswith("there is no key 'colour'\n")
    assert done.stderr.count("\n") == 1


def test_the_command_line_does_not_wait_for_the_toolchain() -> None:
    code = (
        "import sys, serving.cli.build, serving.cli.main; "
        "print([name for name in sys.modules if name.startswith(('enginebuild', 'openvino'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

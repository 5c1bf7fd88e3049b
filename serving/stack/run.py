"""One stack from the environment to its end, in this process."""

import asyncio
import shutil
from pathlib import Path

from serving.settings.base import load
from serving.stack import host, sockets, state
from serving.stack.errors import StackError
from serving.stack.inputs import read_inputs
from serving.stack.journal import logged
from serving.stack.layout import Layout
from serving.stack.plan import plan
from serving.stack.report import Kind, Report
from serving.stack.settings import StackSettings
from serving.stack.supervisor import supervise


def run(told: Report) -> None:
    """Returns when the stack was stopped; StackError when it cannot be started."""
    host.check_platform()
    stack = load(StackSettings)
    layout = Layout(stack.var)
    layout.prepare()
    with state.locked(layout) as lock, logged(told, layout.log_of("supervisor")) as report:
        state.end_leftovers(layout)
        inputs = read_inputs(layout, stack)
        if stack.model_path is not None:
            report(Kind.STEP, f"preparing model {stack.served_name}")
            _render(stack, stack.model_path, layout)
        planned = plan(inputs, layout, on_load=lambda name: report(Kind.STEP, f"loading {name}"))
        try:
            asyncio.run(supervise(planned, report, lock=lock))
        finally:
            sockets.remove(layout)


def _render(stack: StackSettings, source: Path, layout: Layout) -> None:
    """Writes the Triton models around the model at `source`, in place of the last given ones."""
    from enginebuild.repository import write_external  # here: only this path needs the toolchain

    name = stack.served_name
    if not source.exists():
        raise StackError(f"CONCH_MODEL_PATH={source}: there is no such file or folder")
    for repository in (stack.model_repository, layout.models):
        if (repository / name).exists():
            taken = f"CONCH_MODEL_NAME={name}: {repository} has a model of that name"
            raise StackError(f"{taken}; choose another with --name")
    try:
        shutil.rmtree(layout.given_models, ignore_errors=True)
        write_external(name, source, layout.given_models)
    except (OSError, ValueError) as error:
        raise StackError(f"CONCH_MODEL_PATH={source}: {error}") from error

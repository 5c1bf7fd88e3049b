"""`conch triton`: the embedded Triton alone, in the foreground, until it is stopped."""

from serving.cli.terminal import progress
from serving.stack.alone import run_triton


def triton() -> None:
    """Run Triton without a gateway, in the foreground; TRITON_HOST lets others reach it."""
    with progress() as report:
        run_triton(report)

"""The processes of a stack's parts."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

ENGINE = "serving.engines.worker"


def part_of_triton(stack: Any, mark: str) -> psutil.Process:
    below = psutil.Process(stack.pid_of("triton")).children(recursive=True)
    return next(process for process in below if mark in " ".join(process.cmdline()))


@contextmanager
def frozen(*processes: psutil.Process) -> Iterator[None]:
    """Within the block none of them does anything, though each is there; they may be killed."""
    try:
        for process in processes:
            process.suspend()
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()

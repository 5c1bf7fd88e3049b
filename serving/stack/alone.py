"""Triton and nothing else, kept in the foreground: what a container of its own runs."""

import asyncio
import secrets

from serving.settings.base import load
from serving.stack import host, state
from serving.stack.errors import StackError
from serving.stack.journal import logged
from serving.stack.keeper import Keeper, Surroundings
from serving.stack.layout import Layout
from serving.stack.listeners import check_triton_ports
from serving.stack.part import Health
from serving.stack.plan import embedded_triton
from serving.stack.report import Kind, Report
from serving.stack.settings import StackSettings, TritonSettings
from serving.stack.supervisor import kept, raised_alone, stopped_by_signals
from serving.stack.watchdog import watchdog


def run_triton(told: Report) -> None:
    """Returns when it was stopped; StackError when it cannot be started."""
    host.check_platform()
    stack, triton = load(StackSettings), load(TritonSettings)
    if triton.url is not None:
        raise StackError(f"TRITON_URL={triton.url}: that one is used, so none is started")
    layout = Layout(stack.var)
    layout.prepare()
    with state.locked(layout) as lock, logged(told, layout.log_of("supervisor")) as report:
        check_triton_ports(triton)
        asyncio.run(_keep(stack, triton, layout, report, lock))


async def _keep(
    stack: StackSettings, triton: TritonSettings, layout: Layout, report: Report, lock: int
) -> None:
    shm_prefix = f"conch_{secrets.token_hex(4)}_"
    part = embedded_triton(
        stack,
        triton,
        layout,
        shm_prefix,
        trust={},  # the grant key comes from the environment, if grants are to be taken
        on_load=lambda name: report(Kind.STEP, f"loading {name}"),
    )

    def changed(keeper: Keeper) -> None:
        if keeper.health is Health.READY:
            report(Kind.READY, f"triton is ready on {triton.host}")
        elif keeper.health is Health.RESTARTING:
            report(Kind.NOTE, f"{keeper.trouble}; starting it again")

    with raised_alone(), stopped_by_signals():
        async with watchdog(shm_prefix, lock) as dog:
            keeper = Keeper(part, Surroundings(stack, layout, dog, changed))
            async with kept([keeper]):
                await asyncio.Event().wait()

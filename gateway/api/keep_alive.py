"""Comments on event streams that are silent: proxies and clients see that somebody is there."""

import asyncio

from gateway.api.sse import EventStream
from gateway.states import States
from serving.contract.calls import SequenceState

PAUSED = b": paused\n\n"
WAITING = b": waiting\n\n"


async def keep_alive(stream: EventStream, states: States, every_s: float) -> None:
    """For ever: a comment when nothing was sent for `every_s`.

    It opens the stream of a request that is paused; one that merely waits for its first token may
    still be refused, by a status. Where a client takes nothing, nothing is added to what waits.
    """
    wait_s = every_s
    while True:
        await asyncio.sleep(wait_s)
        wait_s = every_s - stream.quiet_s
        if wait_s > 0:
            continue
        wait_s = every_s
        is_paused = states.of_request is SequenceState.PAUSED
        if (stream.is_open or is_paused) and not stream.is_sending:
            await stream.push(PAUSED if is_paused else WAITING)

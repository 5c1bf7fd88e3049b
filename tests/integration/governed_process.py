"""`python governed_process.py SOCKET SPOOL CLIENTS`: a process of requests until it is killed.

Writes the name of each request that it lets in, a line each, before that request goes on.
"""

import asyncio
import os
import random
import sys
from itertools import count
from pathlib import Path

from quota_world import World, a_principal, a_record, an_ask, tokens

from gateway.governor import Governor
from gateway.stages.quota import reserve
from serving.stack.redis import RedisServer


async def client(world: World, governor: Governor, number: int) -> None:
    for turn in count():
        record = a_record(f"{os.getpid()}-{number}-{turn}")
        async with reserve(governor, world.directory, a_principal(), an_ask(), record):
            os.write(1, f"{record.request_id}\n".encode())
            for completion in range(1, random.randrange(2, 5)):
                await asyncio.sleep(0.005)
                record.saw(tokens(3, completion))


async def main() -> None:
    socket, spool, clients = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    world = World(RedisServer(socket.parent / "redis", socket), spool)
    async with world.governor(lease_s=1.0) as governor, asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(world, governor, number))


if __name__ == "__main__":
    asyncio.run(main())

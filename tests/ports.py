"""Ports that nobody listens on, for servers that tests start."""

import random
import socket

# Below those that the kernel gives to outgoing connections.
FIRST, LAST = 20000, 30000


def free_ports(count: int, *, also: int = 0) -> list[int]:
    """`count` ports in a row; with `also`, those that much higher are free too."""
    while True:
        first = random.randrange(FIRST, LAST - count)
        ports = list(range(first, first + count))
        if all(is_free(port) and is_free(port + also) for port in ports):
            return ports


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

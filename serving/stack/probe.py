"""A health question over HTTP, on a connection of its own, that never raises."""

import asyncio


async def answers(host: str, port: int, path: str, *, timeout_s: float) -> bool:
    """Whether GET `path` is answered with status 200 within `timeout_s`."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _status(host, port, path) == b"200"
    except (OSError, TimeoutError):
        return False


async def _status(host: str, port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        line = await reader.readline()
    finally:
        writer.close()
    return line.partition(b" ")[2][:3]


def origin(host: str, port: int) -> str:
    """The URL at which this machine reaches an HTTP server bound to `host`."""
    name = reachable(host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def reachable(host: str) -> str:
    """The address at which this machine reaches a server bound to `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104

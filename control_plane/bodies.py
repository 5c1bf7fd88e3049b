"""Bodies on their way in: never larger than allowed, in time, and within their address' share."""

import asyncio
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from control_plane.plane import ControlPlane
from serving.contract.errors import AddressLimited, PayloadTooLarge


class Body:
    """Stands in for `receive`. Raises the framework's own exception: from there it takes no other.

    What it holds of its address' share it holds until it is released.
    """

    __slots__ = ("_address", "_deadline_s", "_held", "_is_whole", "_plane", "_receive")

    def __init__(self, plane: ControlPlane, receive: Receive, address: str | None) -> None:
        self._plane = plane
        self._receive = receive
        self._address = address
        self._held = 0
        self._is_whole = False
        self._deadline_s = asyncio.get_running_loop().time() + plane.settings.body_timeout_s

    async def receive(self) -> Message:
        if self._is_whole:
            return await self._receive()  # until the client hangs up
        try:
            async with asyncio.timeout_at(self._deadline_s):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT) from None
        self._is_whole = not message.get("more_body", False)
        self._take(len(message.get("body", b"")))
        return message

    def _take(self, count: int) -> None:
        if self._held + count > self._plane.settings.max_body_bytes:
            raise HTTPException(PayloadTooLarge.status)
        try:
            self._plane.load.took(self._address, count)
        except AddressLimited:
            raise HTTPException(AddressLimited.status) from None
        self._held += count

    def release(self) -> None:
        self._plane.load.released(self._address, self._held)

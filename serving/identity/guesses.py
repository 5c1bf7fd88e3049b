"""Wrong credentials, counted per address, so that guessing goes no faster than it may."""

from collections.abc import Iterator
from contextlib import contextmanager

from serving.contract.errors import AddressLimited, Unauthenticated
from serving.identity.addresses import group_of
from serving.identity.recent import Recent

AT_ONCE = 10
REFILL_S = 6.0
ADDRESSES = 16_384
FAILED = 4_096


class Guesses:
    """An address may try `at_once` new credentials that are wrong, and one more every `refill_s`.

    To try takes one, to be right gives it back. The same wrong credentials again are no new guess:
    a client that goes on with a revoked key uses up nothing that others at its address need.
    """

    def __init__(self, *, at_once: int = AT_ONCE, refill_s: float = REFILL_S) -> None:
        self._refill_s = refill_s
        self._whole_s = at_once * refill_s
        # When each address has its whole allowance again.
        self._whole_at: Recent[str, float] = Recent(ADDRESSES)
        self._failed: Recent[bytes, bool] = Recent(FAILED)

    @contextmanager
    def one(self, address: str | None, fingerprint: bytes, now: float) -> Iterator[None]:
        """A try of credentials never seen to be right. Unauthenticated, raised inside, uses it up.

        Raises AddressLimited, before the block, when the address has none left.
        """
        if address is None or self._failed.get(fingerprint):
            yield
            return
        group = group_of(address)
        self._take(group, now)
        try:
            yield
        except Unauthenticated:
            self._failed.put(fingerprint, True)
            raise
        except BaseException:
            self._give_back(group)
            raise
        self._give_back(group)

    def check(self, address: str | None, fingerprint: bytes, now: float) -> None:
        """Raises AddressLimited where `one` would; takes nothing."""
        if address is None or self._failed.get(fingerprint):
            return
        _, wait_s = self._allowance(group_of(address), now)
        if wait_s > 0:
            raise _limited(wait_s)

    def _take(self, group: str, now: float) -> None:
        whole_at, wait_s = self._allowance(group, now)
        self._whole_at.put(group, whole_at if wait_s > 0 else whole_at + self._refill_s)
        if wait_s > 0:
            raise _limited(wait_s)

    def _allowance(self, group: str, now: float) -> tuple[float, float]:
        """When it is whole again, and for how long there is nothing left of it."""
        # No clock that is set back makes anybody wait longer than for a whole allowance.
        whole_at = min(max(self._whole_at.get(group) or now, now), now + self._whole_s)
        return whole_at, whole_at + self._refill_s - now - self._whole_s

    def _give_back(self, group: str) -> None:
        whole_at = self._whole_at.get(group)
        if whole_at is not None:
            self._whole_at.put(group, whole_at - self._refill_s)


def _limited(wait_s: float) -> AddressLimited:
    error = AddressLimited(
        "too many wrong keys or tokens came from this address: new ones are not looked at for now; "
        "those that are in use here go on working"
    )
    error.retry_after_s = wait_s
    return error

"""The signing keys of issuers in memory: fetched when first asked for, then kept fresh.

While a provider is away its last keys serve on. Forged tokens may name as many keys that do not
exist as they like: nothing is fetched more often than every MIN_S.
"""

import asyncio
import math
import random
import time
from collections.abc import Callable
from typing import NoReturn

import structlog

from serving.adapters.oidc import Metadata, Oidc, ProviderUnavailable
from serving.contract.errors import Unavailable
from serving.identity.jwk import SigningKey, signing_keys

MIN_S = 30.0  # between two fetches because of a key that is not known
RETRY_S = 5.0  # between two fetches as long as there is none at all
REFRESH_S = 300.0
STALE_S = 24 * 3600.0
Clock = Callable[[], float]
log: structlog.stdlib.BoundLogger = structlog.get_logger("identity")


class IssuerKeys:
    """What one issuer signs with. `keys` is another tuple whenever, and only when, it changed."""

    def __init__(self, issuer: str, oidc: Oidc, clock: Clock) -> None:
        self.issuer = issuer
        self.keys: tuple[SigningKey, ...] = ()
        self.asked_at = clock()
        self._metadata: Metadata | None = None
        self._oidc = oidc
        self._clock = clock
        self._tried_at = self._fetched_at = -math.inf
        self._turn = asyncio.Lock()

    @property
    def metadata(self) -> Metadata:
        """Raises Unavailable as long as the provider was never reached."""
        if self._metadata is None:
            raise _away(self.issuer)
        return self._metadata

    @property
    def is_known(self) -> bool:
        return self._metadata is not None and self._clock() < self._fetched_at + STALE_S

    async def ready(self) -> None:
        """Returns when there are keys; raises Unavailable when they cannot be had."""
        self.asked_at = self._clock()
        if not self.is_known:
            await self.refresh(not_within_s=RETRY_S)
        if not self.is_known:
            raise _away(self.issuer)

    async def refresh(self, *, not_within_s: float) -> None:
        """Fetches what there is now, unless that was tried so shortly before.

        Who asks meanwhile waits for the same answer. One that fails leaves everything as it is.
        """
        asked_at = self._clock()
        async with self._turn:
            if asked_at > self._tried_at + not_within_s:
                await self._fetch()

    def forget(self) -> None:
        self.keys, self._metadata = (), None

    async def _fetch(self) -> None:
        try:
            metadata = await self._oidc.discover(self.issuer)
            found = signing_keys(await self._oidc.jwks(metadata))
        except ProviderUnavailable as error:
            log.warning("issuer_unavailable", issuer=self.issuer, reason=str(error))
        else:
            self._metadata, self._fetched_at = metadata, self._clock()
            if found != self.keys:
                log.info("issuer_keys_changed", issuer=self.issuer, keys=[key.id for key in found])
                self.keys = found
        # Not when this was cancelled: then nobody knows the answer.
        self._tried_at = self._clock()


class Issuers:
    """The keys of all issuers that anybody asked for."""

    def __init__(self, oidc: Oidc, clock: Clock = time.monotonic) -> None:
        self.oidc = oidc
        self._clock = clock
        self._known: dict[str, IssuerKeys] = {}

    async def keys_of(self, issuer: str) -> IssuerKeys:
        """To be asked for issuers of the policy only. Raises Unavailable."""
        known = self._known.get(issuer)
        if known is None:
            known = self._known[issuer] = IssuerKeys(issuer, self.oidc, self._clock)
        await known.ready()
        return known

    def at_hand(self, issuer: str) -> IssuerKeys:
        """What `keys_of` has fetched; raises Unavailable when that is nothing, or too long ago."""
        known = self._known.get(issuer)
        if known is None or not known.is_known:
            raise _away(issuer)
        return known

    async def keep_fresh(self) -> NoReturn:
        """For ever: fetches all keys anew from time to time, and drops those nobody asks for."""
        while True:
            await asyncio.sleep(REFRESH_S * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load
            await self.refresh()

    async def refresh(self) -> None:
        """All that is known, once; one that is away costs the others no more than a little time."""
        for known in tuple(self._known.values()):
            if known.asked_at < self._clock() - STALE_S:
                self._known.pop(known.issuer).forget()
            else:
                await known.refresh(not_within_s=MIN_S)


def _away(issuer: str) -> Unavailable:
    return Unavailable(f"the keys of '{issuer}' cannot be fetched now; try again soon")

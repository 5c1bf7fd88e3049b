"""The control plane's own copy of the policy, brought up to date whenever it is asked for."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.store import policy_log
from serving.contract.policy import Version
from serving.identity.directory import Directory

FAR = 1000  # versions behind from which on reading everything is cheaper


class PolicyCopy:
    """A Directory that follows the database."""

    def __init__(self) -> None:
        self._directory: Directory | None = None
        self._turn = asyncio.Lock()

    async def fresh(self, session: AsyncSession) -> Directory:
        """As of the last commit. To be called before `session` changes policy itself."""
        newest = await policy_log.version(session)
        if self._directory is not None and self._directory.version == newest:
            return self._directory
        async with self._turn:
            # While it waited, another one may have brought it further than `newest`.
            return await self._catch_up(session, await policy_log.version(session))

    async def _catch_up(self, session: AsyncSession, newest: Version) -> Directory:
        known = self._directory
        if known is None or not _is_near(known.version, newest):
            known = self._directory = Directory.of(await policy_log.snapshot(session))
        for delta in await policy_log.deltas(session, known.version, limit=FAR):
            known.apply(delta)
        return known


def _is_near(known: Version, newest: Version) -> bool:
    return known.epoch == newest.epoch and newest.number - FAR <= known.number <= newest.number

"""What endpoints and workers work with, for as long as the process runs."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.login.settings import LoginSettings
from control_plane.metrics import Metrics
from control_plane.policy_copy import PolicyCopy
from control_plane.settings import ControlSettings
from control_plane.store.database import Database
from serving.adapters.redis import Redis
from serving.identity.addresses import AddressLoad
from serving.identity.identify import Verifier


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The parts of one process."""

    settings: ControlSettings
    pepper: bytes = field(repr=False)
    database: Database
    redis: Redis
    verifier: Verifier
    login: LoginSettings = field(default_factory=LoginSettings)
    policy: PolicyCopy = field(default_factory=PolicyCopy)
    metrics: Metrics = field(default_factory=Metrics)
    # What the clients of each address hold at a time.
    load: AddressLoad = field(
        default_factory=partial(AddressLoad, connections=None, body_bytes=None)
    )


async def _plane(request: Request) -> ControlPlane:
    plane: ControlPlane = request.app.state.plane
    return plane


Plane = Annotated[ControlPlane, Depends(_plane)]


async def _session(plane: Plane) -> AsyncIterator[AsyncSession]:
    async with plane.database.session() as session:
        yield session


# Committed when the endpoint has returned and before its answer is sent.
Session = Annotated[AsyncSession, Depends(_session, scope="function")]

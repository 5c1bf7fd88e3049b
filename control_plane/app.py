"""Composition: settings in, a served application out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from control_plane import errors, health
from control_plane.access import requirements
from control_plane.audit.endpoints import router as audit
from control_plane.bootstrap import DEFAULTS, bootstrap
from control_plane.edge import Edge
from control_plane.guardrails.endpoints import router as guardrails
from control_plane.issuers.endpoints import router as issuers
from control_plane.keys.endpoints import router as keys
from control_plane.login.endpoints import router as people
from control_plane.login.settings import LoginSettings
from control_plane.migrations import migrate
from control_plane.models.endpoints import router as models
from control_plane.plane import ControlPlane
from control_plane.policy.endpoints import router as policy
from control_plane.projects.endpoints import router as projects
from control_plane.publish import Publisher
from control_plane.settings import ControlSettings
from control_plane.store import database
from control_plane.tenants.endpoints import router as tenants
from control_plane.usage.endpoints import router as usage
from control_plane.usage.settings import UsageSettings
from control_plane.usage.workers import usage_workers
from control_plane.users.endpoints import router as users
from serving.adapters import redis
from serving.adapters.policy_feed import PolicyFeed
from serving.contract.policy import Settings
from serving.identity.addresses import AddressLoad, networks_of
from serving.identity.identify import open_verifier
from serving.settings.stores import DatabaseSettings, RedisSettings
from serving.settings.trust import TrustSettings

ROUTERS = (
    *(tenants, projects, keys, users, issuers, models, policy, guardrails, audit, usage),
    *(people, health.router),
)


@asynccontextmanager
async def open_plane(
    settings: ControlSettings,
    trust: TrustSettings,
    database_settings: DatabaseSettings,
    redis_settings: RedisSettings,
    login: LoginSettings,
    initial: Settings = DEFAULTS,
) -> AsyncIterator[ControlPlane]:
    """The parts, with the schema at its newest and the first keys made.

    Raises Unavailable when PostgreSQL does not answer in time; Redis may be away.
    """
    pepper = trust.key_pepper.get_secret_value().encode()
    async with (
        database.connect(database_settings) as db,
        redis.connect(redis_settings) as store,
        open_verifier(pepper) as verifier,
    ):
        await db.wait(settings.start_timeout_s)
        await migrate(db.engine)
        load = AddressLoad(
            connections=settings.connections_per_address,
            body_bytes=settings.body_bytes_per_address,
            exempt=networks_of(settings.trusted_proxies),
        )
        plane = ControlPlane(settings, pepper, db, store, verifier, login, load=load)
        await _begin(plane, initial)
        yield plane


async def _begin(plane: ControlPlane, initial: Settings) -> None:
    """A key that has to be shown is shown before it is good: one that nobody saw opens nothing."""
    async with plane.database.session() as session:
        made = await bootstrap(session, plane.settings, plane.pepper, initial)
        if made is not None:
            print(f"the owner's API key, shown only now: {made}", flush=True)  # noqa: T201


@asynccontextmanager
async def at_work(plane: ControlPlane, usage_settings: UsageSettings) -> AsyncIterator[None]:
    """The workers, for as long as the block lasts. A defect in one of them ends the process."""
    workers = (
        publisher(plane).run(),
        plane.verifier.issuers.keep_fresh(),
        *usage_workers(plane, usage_settings),
    )
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(worker) for worker in workers]
        yield
        for task in tasks:
            task.cancel()


def publisher(plane: ControlPlane) -> Publisher:
    return Publisher(
        plane.database,
        PolicyFeed(plane.redis),
        plane.metrics,
        poll_s=plane.settings.publish_poll_s,
        checkpoint_every=plane.settings.checkpoint_every,
    )


def build(plane: ControlPlane) -> Edge:
    """The API. Raises TypeError for an endpoint that does not say what it needs."""
    app = FastAPI(
        title="Conch control plane",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.plane = plane
    errors.install(app)
    for router in ROUTERS:
        app.include_router(router)
    list(requirements(app))
    return Edge(app, plane)

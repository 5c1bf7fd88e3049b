"""Probes and metrics; they need no key."""

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from control_plane.access import open_to_all
from control_plane.plane import Plane

router = APIRouter(dependencies=[Depends(open_to_all)], include_in_schema=False)


@router.get("/health/live")
async def live() -> dict[str, str]:
    """The process runs."""
    return {"status": "live"}


@router.get("/health/ready")
async def ready(plane: Plane) -> dict[str, str]:
    """The database answers; Redis may be away, policy is published when it is back."""
    await plane.database.answers()
    return {"status": "ready"}


@router.get("/metrics")
async def metrics(plane: Plane) -> Response:
    return Response(generate_latest(plane.metrics.registry), media_type=CONTENT_TYPE_LATEST)

"""/v1/policy: versions, what changed between them, and the runtime settings."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from control_plane.access import requires
from control_plane.plane import Session
from control_plane.policy import service
from control_plane.policy.schemas import (
    DiffView,
    PolicyView,
    Rollback,
    SettingsPatch,
    SettingsView,
    VersionView,
)
from control_plane.store import policy_log
from control_plane.store.tables import policy_versions
from control_plane.wire import LARGEST, BackwardsPaged, Page, paged_backwards
from serving.contract.permissions import Permission
from serving.contract.principal import Principal

router = APIRouter(prefix="/v1/policy", tags=["policy"])
reading = requires(Permission.POLICY_READ)
reading_all = requires(Permission.POLICY_READ, of_organisation=True)
Reader = Annotated[Principal, reading]
Writer = Annotated[Principal, requires(Permission.POLICY_WRITE, of_organisation=True)]
Number = Annotated[int, Query(ge=0, le=LARGEST)]
# The version of the settings that the change is meant for, as `ETag` said it.
Expected = Annotated[str | None, Header(alias="If-Match", pattern=r'^(W/)?"?\d{1,15}"?$')]


@router.get("", dependencies=[reading])
async def get_policy(session: Session) -> PolicyView:
    newest = await policy_log.version(session)
    return PolicyView(epoch=newest.epoch, version=newest.number)


@router.get("/versions", dependencies=[reading_all])
async def list_versions(session: Session, paging: BackwardsPaged) -> Page[VersionView]:
    return await paged_backwards(session, VersionView, policy_versions.c.version, paging)


@router.get("/diff", dependencies=[reading_all])
async def get_diff(
    session: Session, first: Annotated[int, Query(alias="from", ge=0, le=LARGEST)], to: Number
) -> DiffView:
    """What is different at version `to` from what was at `from`."""
    changes = await service.diff(session, first, to)
    return DiffView(from_version=first, to_version=to, changes=changes)


@router.get("/settings")
async def get_settings(caller: Reader, session: Session, response: Response) -> SettingsView:
    return _tagged(response, (await service.settings(session)).seen_by(caller))


@router.patch("/settings")
async def change_settings(
    caller: Writer,
    session: Session,
    response: Response,
    body: SettingsPatch,
    if_match: Expected = None,
) -> SettingsView:
    return _tagged(response, await service.change(session, caller, body, _number(if_match)))


@router.post("/settings/rollback")
async def roll_settings_back(
    caller: Writer,
    session: Session,
    response: Response,
    body: Rollback,
    if_match: Expected = None,
) -> SettingsView:
    done = await service.roll_back(session, caller, body.version, _number(if_match))
    return _tagged(response, done)


def _tagged(response: Response, settings: SettingsView) -> SettingsView:
    response.headers["etag"] = f'"{settings.version}"'
    return settings


def _number(if_match: str | None) -> int | None:
    return None if if_match is None else int(if_match.removeprefix("W/").strip('"'))

"""Reads the policy's history and changes the runtime settings, which alone can be rolled back."""

from dataclasses import replace
from itertools import groupby
from typing import Any

import orjson
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.guardrails.choice import can_be_chosen
from control_plane.policy.schemas import ChangeView, SettingsPatch, SettingsView
from control_plane.store import policy_log
from control_plane.store.edit import begin, find
from serving.contract.errors import Conflict, InvalidRequest, NotFound
from serving.contract.policy import Settings
from serving.contract.principal import Principal
from serving.identity.documents import decode

DEFAULTS = Settings()
KIND = "settings"
FARTHEST = 1000  # versions in one diff


async def diff(session: AsyncSession, first: int, last: int) -> list[ChangeView]:
    """What is different at version `last` from what was at `first`."""
    if not first <= last <= first + FARTHEST:
        raise InvalidRequest(f"'to' has to be 'from' or up to {FARTHEST} more", param="to")
    if last > (await policy_log.version(session)).number:
        raise NotFound(f"no version {last}")
    changes = sorted(await policy_log.changes_between(session, first, last), key=_document)
    each = [list(rows) for _, rows in groupby(changes, key=_document)]
    return [ChangeView.of(rows[0], rows[-1]) for rows in each if rows[0].before != rows[-1].after]


def _document(row: Row[Any]) -> tuple[str, str]:
    return row.kind, row.id


async def settings(session: AsyncSession) -> SettingsView:
    said = await find(session, Settings, DEFAULTS.id) or DEFAULTS
    return SettingsView.model_validate(said).model_copy(
        update={"version": await _settings_version(session)}
    )


async def change(
    session: AsyncSession, caller: Principal, body: SettingsPatch, expected: int | None
) -> SettingsView:
    edit = await begin(session, caller.id)
    await _is_expected(session, expected)
    now = await edit.find(Settings, DEFAULTS.id) or DEFAULTS
    await can_be_chosen(edit, body.guardrails)
    await edit.put(_checked(replace(now, **body.given())), action="change")
    return await settings(session)


async def roll_back(
    session: AsyncSession, caller: Principal, version: int, expected: int | None
) -> SettingsView:
    """To what they were at `version`, as a new version."""
    edit = await begin(session, caller.id)
    await _is_expected(session, expected)
    if version > (await policy_log.version(session)).number:
        raise NotFound(f"no version {version}")
    was = await policy_log.document_at(session, KIND, DEFAULTS.id, version)
    then = DEFAULTS if was is None or was.after is None else decode(KIND, orjson.dumps(was.after))
    assert isinstance(then, Settings)
    await can_be_chosen(edit, then.guardrails)
    await edit.put(then, action="roll back")
    return await settings(session)


async def _settings_version(session: AsyncSession) -> int:
    newest = (await policy_log.version(session)).number
    last = await policy_log.document_at(session, KIND, DEFAULTS.id, newest)
    return 0 if last is None else int(last.version)


async def _is_expected(session: AsyncSession, expected: int | None) -> None:
    found = await _settings_version(session)
    if expected not in (None, found):
        raise Conflict(f"the settings are at version {found} by now; read them again")


def _checked(said: Settings) -> Settings:
    """Raises InvalidRequest for what contradicts itself."""
    if said.max_tokens is not None and (said.default_max_tokens or 0) > said.max_tokens:
        raise InvalidRequest(
            "'default_max_tokens' is more than 'max_tokens'", param="default_max_tokens"
        )
    return said

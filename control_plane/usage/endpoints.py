"""/v1/organization/usage and /costs in OpenAI's shape, /v1/usage for people, /v1/contents."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.responses import StreamingResponse

from control_plane.access import requires
from control_plane.plane import Plane, Session
from control_plane.store.database import Database
from control_plane.store.usage_pages import each_page
from control_plane.store.usage_reports import Where
from control_plane.usage import csv_lines, pages, stored
from control_plane.usage.query import (
    CompletionsQuery,
    CostsQuery,
    SpanQuery,
    SummaryQuery,
    query_of,
)
from control_plane.usage.schemas import (
    CompletionsResult,
    ContentDeleted,
    ContentReply,
    CostsResult,
    Page,
    Summary,
)
from control_plane.usage.summary import span_of, summary
from serving.contract.permissions import Permission
from serving.contract.principal import Principal

router = APIRouter(prefix="/v1", tags=["usage"])
Reader = Annotated[Principal, requires(Permission.USAGE_READ)]
ContentReader = Annotated[Principal, requires(Permission.CONTENT_READ)]
# Who may say that texts are kept may say that they are not.
ContentRemover = Annotated[Principal, requires(Permission.PROJECTS_WRITE)]
EventId = Annotated[str, Path(pattern=r"^[\x21-\x7e]{1,256}$")]


@router.get("/organization/usage/completions")
async def get_completions(
    caller: Reader,
    session: Session,
    query: Annotated[CompletionsQuery, Depends(query_of(CompletionsQuery))],
) -> Page[CompletionsResult]:
    return await pages.completions(session, caller, query, time.time())


@router.get("/organization/costs")
async def get_costs(
    caller: Reader, session: Session, query: Annotated[CostsQuery, Depends(query_of(CostsQuery))]
) -> Page[CostsResult]:
    return await pages.costs(session, caller, query, time.time())


@router.get("/usage/summary")
async def get_summary(
    caller: Reader,
    session: Session,
    query: Annotated[SummaryQuery, Depends(query_of(SummaryQuery))],
) -> Summary:
    return await summary(session, caller, query, time.time())


@router.get("/usage/export.csv")
async def export(
    caller: Reader, plane: Plane, query: Annotated[SpanQuery, Depends(query_of(SpanQuery))]
) -> StreamingResponse:
    """Every event of the span, oldest first; a line at a time, however many there are."""
    where = span_of(caller, query, time.time())
    name = f"usage-{datetime.fromtimestamp(where.begin, UTC):%Y-%m-%d}.csv"
    return StreamingResponse(
        _csv(plane.database, where),
        media_type="text/csv; charset=utf-8; header=present",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


async def _csv(database: Database, where: Where) -> AsyncIterator[bytes]:
    yield csv_lines.header()
    async for page in each_page(database, where):
        yield csv_lines.lines(page)


@router.get("/contents/{event_id}")
async def get_content(caller: ContentReader, session: Session, event_id: EventId) -> ContentReply:
    """What one request said and was answered, where its project has that stored."""
    return await stored.read(session, caller, event_id)


@router.delete("/contents/{event_id}")
async def delete_content(
    caller: ContentRemover, session: Session, event_id: EventId
) -> ContentDeleted:
    return await stored.remove(session, caller, event_id)

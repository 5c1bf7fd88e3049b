"""Rows of a table: one by its id, or page by page."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Row, Table, select
from sqlalchemy.ext.asyncio import AsyncSession

from serving.contract.errors import NotFound


async def one(
    session: AsyncSession, table: Table, id_: str, *where: ColumnElement[bool]
) -> Row[Any]:
    """The row `id_`, if `where` holds for it too; else raises NotFound."""
    found = await session.execute(select(table).where(table.c.id == id_, *where))
    row = found.one_or_none()
    if row is None:
        raise NotFound(f"no {table.name.removesuffix('s')} '{id_}'")
    return row


async def page(
    session: AsyncSession,
    key: Column[Any],
    where: Sequence[ColumnElement[bool]],
    limit: int,
    after: str | int | None,
    *,
    is_descending: bool = False,
) -> tuple[Sequence[Row[Any]], bool]:
    """At most `limit` rows of the table of `key`, in its order; whether there are more of them."""
    statement = select(key.table).where(*where).limit(limit + 1)
    statement = statement.order_by(key.desc() if is_descending else key)
    if after is not None:
        statement = statement.where(key < after if is_descending else key > after)
    found = (await session.execute(statement)).all()
    return found[:limit], len(found) > limit

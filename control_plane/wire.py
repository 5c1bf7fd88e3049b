"""What all bodies and answers have in common: words, limits and prices, lists by page."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from fastapi import Depends, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic import StringConstraints as Like
from sqlalchemy import Column, ColumnElement, Row, Table
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.store import rows
from serving.contract.policy import Limits, Price

SLUG = r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?"
LARGEST = 10**15  # what a float, as Lua and JavaScript have it, still counts exactly
LAST_SECOND = 253_402_300_799  # of the year 9999

# No control characters, nor those that end lines or turn the direction of what stands around them.
_ODD = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"

Label = Annotated[str, Like(strip_whitespace=True, pattern=f"^[^{_ODD}]{{1,128}}$")]
Word = Annotated[str, Like(pattern=r"^[\x21-\x7e]{1,256}$")]
TenantId = Annotated[str, Like(pattern=f"^{SLUG}$")]
ProjectId = Annotated[str, Like(pattern=f"^{SLUG}/{SLUG}$")]
ModelName = Annotated[str, Like(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,126}$")]
Count = Annotated[int, Field(ge=1, le=LARGEST)]
Money = Annotated[int, Field(ge=0, le=LARGEST)]
Moment = Annotated[float, Field(gt=0, le=LAST_SECOND, allow_inf_nan=False)]
# A stored moment has fractions that are of no use to anybody.
Second = Annotated[int, BeforeValidator(int)]

UNSET: Any = None  # default of a field that may be left out, but not be null


def _cidr(text: str) -> str:
    return str(ip_network(text))


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


Cidr = Annotated[str, AfterValidator(_cidr)]
Item = TypeVar("Item", bound=str)
Names = Annotated[tuple[Item, ...], Field(max_length=256), AfterValidator(_once)]


class Body(BaseModel):
    """What a client sends; a field it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def given(self, *but: str) -> dict[str, Any]:
        """The fields that the client named, without those of `but`."""
        return {name: getattr(self, name) for name in self.model_fields_set if name not in but}


class View(BaseModel):
    """What a client sees of a row."""

    model_config = ConfigDict(from_attributes=True)

    @classmethod
    def of(cls, row: Row[Any], **more: Any) -> Self:
        return cls.model_validate(row).model_copy(update=more)


class LimitsBody(Body):
    """Limits to set; null takes one away, and one that is not named stays as it is."""

    requests_per_minute: Count | None = None
    input_tokens_per_minute: Count | None = None
    output_tokens_per_minute: Count | None = None
    concurrent_requests: Count | None = None
    tokens_per_day: Count | None = None
    budget_nusd: Money | None = None
    soft_budget_nusd: Money | None = None
    burst_s: Annotated[int, Field(ge=1, le=3600)] = 60

    def over(self, limits: Limits) -> Limits:
        return replace(limits, **self.given())


class PriceBody(Body):
    """Nanodollars per token: 1 is a tenth of a cent for a million tokens."""

    input_nusd: Money = 0
    cached_input_nusd: Money = 0
    output_nusd: Money = 0

    def price(self) -> Price:
        return Price(**self.model_dump())


@dataclass(frozen=True, slots=True)
class Paging:
    """Which part of a list: at most `limit` after the one with the id `after`."""

    limit: int
    after: str | None


async def _paging(
    limit: Annotated[int, Query(ge=1, le=100)] = 20, after: Word | None = None
) -> Paging:
    return Paging(limit, after)


Paged = Annotated[Paging, Depends(_paging)]
V = TypeVar("V", bound=View)


class Page(BaseModel, Generic[V]):
    """A list as OpenAI's clients page through it."""

    object: Literal["list"] = "list"
    data: list[V]
    has_more: bool
    first_id: str | None = None
    last_id: str | None = None

    @classmethod
    def of(cls, data: list[V], ids: Sequence[str | int], *, has_more: bool) -> Self:
        first, last = (str(ids[0]), str(ids[-1])) if ids else (None, None)
        return cls(data=data, has_more=has_more, first_id=first, last_id=last)


async def paged(
    session: AsyncSession, view: type[V], table: Table, paging: Paging, *where: ColumnElement[bool]
) -> Page[V]:
    """The rows of `table` for which `where` holds, in the order of their ids."""
    found, has_more = await rows.page(session, table.c.id, where, paging.limit, paging.after)
    return Page.of([view.of(row) for row in found], [row.id for row in found], has_more=has_more)


@dataclass(frozen=True, slots=True)
class Backwards:
    """Which part of a history: at most `limit` before the one with the number `after`."""

    limit: int
    after: int | None


async def _backwards(
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[int | None, Query(ge=0, le=LARGEST)] = None,
) -> Backwards:
    return Backwards(limit, after)


BackwardsPaged = Annotated[Backwards, Depends(_backwards)]


async def paged_backwards(
    session: AsyncSession,
    view: type[V],
    key: Column[int],
    paging: Backwards,
    *where: ColumnElement[bool],
) -> Page[V]:
    """The rows of the table of `key` for which `where` holds, the newest first."""
    found, has_more = await rows.page(
        session, key, where, paging.limit, paging.after, is_descending=True
    )
    ids = [getattr(row, key.name) for row in found]
    return Page.of([view.of(row) for row in found], ids, has_more=has_more)

"""What can be asked about usage, as query parameters."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from control_plane.usage.rollup import DAY, HOUR, MINUTE
from control_plane.wire import Word

GRANULARITY = {"1m": MINUTE, "1h": HOUR, "1d": DAY}
PAGE_PREFIX = "page_"
LATEST = 1 << 37  # Unix time that every date library can still count to
_LIMITS = {"1m": (60, 1440), "1h": (24, 168), "1d": (7, 31)}  # by default, at most


def _listed(value: Any) -> list[str]:
    """Lists may be repeated parameters, or one with commas."""
    given = value if isinstance(value, list) else [value]
    return [name for text in given for name in str(text).split(",") if name]


def _page(token: str) -> str:
    if int(token.removeprefix(PAGE_PREFIX)) > LATEST:
        raise ValueError("there is no such page")
    return token


Moment = Annotated[int, Field(ge=0, le=LATEST)]
Names = Annotated[tuple[Word, ...], BeforeValidator(_listed), Field(max_length=1000)]
PageToken = Annotated[
    str, Field(pattern=re.compile(rf"^{PAGE_PREFIX}[0-9]{{1,12}}\Z")), AfterValidator(_page)
]


class Query(BaseModel):
    """A parameter that is not known is an error: nothing is left out in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BucketsQuery(Query):
    """What OpenAI's usage and costs endpoints have in common."""

    start_time: Moment
    end_time: Moment | None = None
    project_ids: Names | None = None
    user_ids: Names | None = None
    api_key_ids: Names | None = None
    page: PageToken | None = None

    @property
    def begin(self) -> int:
        """Where this page begins."""
        return self.start_time if self.page is None else int(self.page.removeprefix(PAGE_PREFIX))


class CompletionsQuery(BucketsQuery):
    """Of `/v1/organization/usage/completions`."""

    bucket_width: Literal["1m", "1h", "1d"] = "1d"
    models: Names | None = None
    batch: bool | None = None
    group_by: Annotated[
        tuple[Literal["project_id", "user_id", "api_key_id", "model", "batch"], ...],
        BeforeValidator(_listed),
    ] = ()
    limit: Annotated[int, Field(ge=1)] | None = None

    @field_validator("limit")
    @classmethod
    def _is_allowed(cls, limit: int | None, info: ValidationInfo) -> int | None:
        width = info.data.get("bucket_width", "1d")
        most = _LIMITS[width][1]
        if limit is not None and limit > most:
            raise ValueError(f"at most {most} buckets of {width} at a time")
        return limit

    @property
    def buckets(self) -> int:
        return self.limit or _LIMITS[self.bucket_width][0]


class CostsQuery(BucketsQuery):
    """Of `/v1/organization/costs`."""

    bucket_width: Literal["1d"] = "1d"
    group_by: Annotated[
        tuple[Literal["project_id", "user_id", "api_key_id", "line_item"], ...],
        BeforeValidator(_listed),
    ] = ()
    limit: Annotated[int, Field(ge=1, le=180)] = 7

    @property
    def buckets(self) -> int:
        return self.limit


Dimension = Literal[
    "tenant",
    "project",
    "principal",
    "model",
    "adapter",
    "endpoint",
    "route",
    "user",
    "session",
    "status",
    "reason",
]


class SpanQuery(Query):
    """A span of time, and whose usage."""

    since: str = "7d"
    until: str | None = None
    project_ids: Names | None = None
    models: Names | None = None


class SummaryQuery(SpanQuery):
    """Of `/v1/usage/summary`."""

    by: Annotated[
        tuple[Dimension, ...], BeforeValidator(_listed), Field(min_length=1, max_length=5)
    ] = ("model",)
    limit: Annotated[int, Field(ge=1, le=1000)] = 50


Q = TypeVar("Q", bound=Query)
LISTS = frozenset({"project_ids", "user_ids", "api_key_ids", "models", "group_by", "by"})


def query_of(query: type[Q]) -> Callable[[Request], Q]:
    """The dependency that reads `query`; a list is `name=…` or `name[]=…`, once or repeatedly."""

    def read(request: Request) -> Q:
        try:
            return query.model_validate(_given(request))
        except ValidationError as error:
            complaints = error.errors(include_url=False)
            raise RequestValidationError(
                [{**each, "loc": ("query", *each["loc"])} for each in complaints]
            ) from None

    return read


def _given(request: Request) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        field = name.removesuffix("[]")
        given[field] = [*given.get(field, ()), value] if field in LISTS else value
    return given

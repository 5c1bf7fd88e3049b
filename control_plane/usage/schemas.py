"""Reports of usage as clients see them: pages of buckets in OpenAI's shape, and our summary."""

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel


class CompletionsResult(BaseModel):
    """Usage of one bucket and one group. What it was not grouped by is null."""

    object: Literal["organization.usage.completions.result"] = (
        "organization.usage.completions.result"
    )
    input_tokens: int
    output_tokens: int
    input_cached_tokens: int
    input_uncached_tokens: int
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    num_model_requests: int
    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None
    model: str | None = None
    batch: bool | None = None
    service_tier: str | None = None


class Amount(BaseModel):
    """Money."""

    value: float
    currency: Literal["usd"] = "usd"


class CostsResult(BaseModel):
    """Costs of one day and one group; a line item is a model, or a model and its adapter."""

    object: Literal["organization.costs.result"] = "organization.costs.result"
    amount: Amount
    line_item: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None


R = TypeVar("R", CompletionsResult, CostsResult)


class Bucket(BaseModel, Generic[R]):
    """From `start_time` until before `end_time`; a result for each group with any usage."""

    object: Literal["bucket"] = "bucket"
    start_time: int
    end_time: int
    results: list[R]


class Page(BaseModel, Generic[R]):
    """Buckets in order; `next_page` is the `page` to go on with."""

    object: Literal["page"] = "page"
    data: list[Bucket[R]]
    has_more: bool
    next_page: str | None


class Totals(BaseModel):
    """Sums; times are means of the requests that have them. `requests` counts refused ones too."""

    requests: int
    refused: int
    lost: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cost_nusd: int
    cost_usd: float
    ttft_ms: float | None
    latency_ms: float | None


class SummaryGroup(Totals):
    """The totals of one group; `by` has the value of each dimension, null where there is none."""

    by: dict[str, str | None]


class SummaryPoint(Totals):
    """The totals of the time from `start_time` on, as long as the series' `width_s`."""

    start_time: int


class Summary(BaseModel):
    """What was used from `since` until before `until`, which are on the borders of buckets."""

    object: Literal["usage.summary"] = "usage.summary"
    since: int
    until: int
    by: list[str]
    groups: list[SummaryGroup]
    has_more: bool
    totals: Totals
    width_s: int
    series: list[SummaryPoint]


class ContentReply(BaseModel):
    """The stored texts of one request."""

    object: Literal["content"] = "content"
    id: str
    project: str
    began_at: float
    expires_at: float
    is_redacted: bool
    prompt: Any
    answer: Any


class ContentDeleted(BaseModel):
    """The texts of a request are gone."""

    object: Literal["content.deleted"] = "content.deleted"
    id: str
    deleted: Literal[True] = True

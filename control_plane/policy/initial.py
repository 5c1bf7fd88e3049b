"""The runtime settings that a new database starts with, by CONTROL_INITIAL_* variables."""

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from serving.contract import policy
from serving.contract.policy import LogPrivacy, OnRedisDown
from serving.settings.base import Count, Settings

DEFAULTS = policy.Settings()


class InitialSettings(Settings):
    """Read by the first start alone: from then on `conch policy set` changes them."""

    model_config = SettingsConfigDict(env_prefix="CONTROL_INITIAL_")

    default_max_tokens: Count | None = Field(
        DEFAULTS.default_max_tokens,
        description="Length of an answer for which the client sets no limit, in the policy of a "
        "new database; `conch policy set` changes it later, like all CONTROL_INITIAL_*.",
    )
    max_tokens: Count | None = Field(
        DEFAULTS.max_tokens, description="Length of an answer that a client may ask for at most."
    )
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = Field(
        DEFAULTS.temperature,
        description="Temperature where the client sets none; without it, the model's own.",
    )
    request_timeout_s: Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)] | None = Field(
        DEFAULTS.request_timeout_s,
        description="How long a request may take; without it, GATEWAY_REQUEST_TIMEOUT_S.",
    )
    log_privacy: LogPrivacy = Field(
        DEFAULTS.log_privacy,
        description="What is kept of prompts and answers: none, metadata, redacted or full.",
    )
    retention_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        DEFAULTS.retention_days, description="How long kept texts are kept, in days."
    )
    on_redis_down: OnRedisDown = Field(
        DEFAULTS.on_redis_down,
        description="Requests while Redis is away: refuse them, or allow some.",
    )
    allowance_requests_per_minute: Count = Field(
        DEFAULTS.allowance_requests_per_minute,
        description="How many each tenant is allowed then, a minute and a gateway.",
    )

    @model_validator(mode="after")
    def _default_is_within(self) -> Self:
        if self.max_tokens is not None and (self.default_max_tokens or 0) > self.max_tokens:
            raise ValueError(
                "CONTROL_INITIAL_DEFAULT_MAX_TOKENS is more than CONTROL_INITIAL_MAX_TOKENS"
            )
        return self

    def document(self) -> policy.Settings:
        said = {name: getattr(self, name) for name in type(self).model_fields}
        return policy.Settings(**said)

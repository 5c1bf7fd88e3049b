"""What an operator can set on the usage workers, by CONTROL_USAGE_* variables."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from serving.settings.base import Count, Seconds, Settings


class UsageSettings(Settings):
    """The workers that every control plane process runs."""

    model_config = SettingsConfigDict(env_prefix="CONTROL_USAGE_")

    batch: Count = Field(
        100,
        description="Usage events read of each of the 16 streams at once, and written together.",
    )
    claim_after_s: Seconds = Field(
        15.0, description="After which time an event is taken over from a worker that died with it."
    )
    reap_every_s: Seconds = Field(
        2.0, description="How often leases of gateways that died are looked for."
    )
    budgets_every_s: Seconds = Field(
        60.0, description="How often Redis is told what was spent this month, if it knows of less."
    )
    retention_every_s: Seconds = Field(
        3600.0, description="How often what was kept for long enough is deleted."
    )

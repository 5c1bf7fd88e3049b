"""What an operator can set on the control plane, by CONTROL_* variables."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from serving.identity.addresses import networks_of
from serving.settings.base import Count, Port, Seconds, Settings


class ControlSettings(Settings):
    """One process of the control plane. Several may run on one database."""

    model_config = SettingsConfigDict(env_prefix="CONTROL_")

    host: str = Field("127.0.0.1", description="The address its API listens on.")
    port: Port = Field(8090, description="The port of its API.")
    trusted_proxies: str = Field(
        "",
        description="Networks (CIDRs, with commas between) whose X-Forwarded-For is believed.",
    )
    admin_key_file: Path | None = Field(
        None,
        description="A file whose first line is the owner's API key; without it and without any "
        "owner, the first start makes a key and prints it once.",
    )
    default_key_file: Path | None = Field(
        None, description="A file whose first line is the service key of project default/default."
    )
    start_timeout_s: Seconds = Field(
        30.0, description="How long the start waits for PostgreSQL to answer."
    )
    max_body_bytes: Count = Field(1 << 20, description="Size of a request's body at most.")
    body_timeout_s: Seconds = Field(30.0, description="How long a request's body may take to come.")
    connections_per_address: Count = Field(
        256, description="Open connections of one address; trusted proxies are exempt."
    )
    body_bytes_per_address: Count = Field(
        16 << 20, description="Bytes of bodies that one address sends at a time."
    )
    publish_poll_s: Seconds = Field(
        0.5, description="How often it looks for policy that is not in Redis yet, unasked."
    )
    checkpoint_every: Count = Field(
        100, description="Policy versions after which Redis is given a whole snapshot anew."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is logged."
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="One JSON object a line, or lines for people."
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        networks_of(text)
        return text

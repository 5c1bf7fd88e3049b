"""What an operator can set on the gateway, by GATEWAY_* variables."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from serving.identity.addresses import networks_of
from serving.settings import base
from serving.settings.base import BadSettings, Count, Seconds, Settings

__all__ = ["BadSettings", "GatewaySettings", "load"]

Port = Annotated[int, Field(ge=0, le=65535)]


class GatewaySettings(Settings):
    """One process of the gateway. A port of 0 takes a free one."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    host: str = Field(
        "127.0.0.1",
        description="The address clients reach it at; 0.0.0.0 lets other machines in.",
    )
    port: Port = Field(8080, description="The port of its API.")
    metrics_port: Port = Field(8081, description="The port of its metrics.")
    grpc_port: Port = Field(8085, description="The port of its gRPC front.")
    grpc_stream_requests: Count = Field(
        64, description="Requests of one gRPC stream that are answered at a time."
    )
    governed: bool = Field(
        True,
        description="Whether keys, quotas and usage are those of the published policy. Without, "
        "GATEWAY_API_KEY alone opens it, and nothing is limited or counted.",
    )
    api_key: SecretStr | None = Field(
        None, description="The one API key of a gateway that is not governed."
    )
    state_dir: Path = Field(
        Path("var/gateway"),
        description="Folder of the last policy and of usage that Redis could not take; the "
        "processes of one machine share it.",
    )
    lease_s: Seconds = Field(
        30.0,
        description="How long a quota stays taken after the last that was heard of a request; "
        "running ones are renewed three times as often.",
    )
    trusted_proxies: str = Field(
        "",
        description="Networks (CIDRs, with commas between) whose X-Forwarded-For is believed.",
    )
    connections_per_address: Count = Field(
        512, description="Open connections of one address; trusted proxies are exempt."
    )
    body_bytes_per_address: Count = Field(
        64 << 20, description="Bytes of bodies that one address sends at a time."
    )
    triton_url: str = Field(
        "127.0.0.1:8001",
        min_length=1,
        description="host:port of Triton's gRPC; `conch up` sets it.",
    )
    triton_heartbeat_s: Seconds = Field(
        5.0, description="How often Triton is asked whether it still answers."
    )
    connect_timeout_s: Seconds = Field(2.0, description="How long connecting to it may take.")
    default_max_tokens: Count | None = Field(
        None,
        description="Length of an answer for which neither client nor policy sets a limit; without "
        "it, the room in the context.",
    )
    max_body_bytes: Count = Field(4 << 20, description="Bytes of a request's body at most.")
    max_json_depth: Count = Field(64, description="How deep its JSON may be nested.")
    max_messages: Count = Field(2048, description="Messages of one chat at most.")
    max_prompts: Count = Field(128, description="Prompts of one request at most.")
    max_choices: Count = Field(16, description="Answers to one prompt at most.")
    prompt_concurrency: Count = Field(
        16, description="Prompts of one request that are in the engine at a time."
    )
    strict: bool = Field(
        False, description="Whether unknown parameters are refused rather than ignored."
    )
    body_timeout_s: Seconds = Field(
        30.0, description="How long a client may take to send its body."
    )
    request_timeout_s: Seconds = Field(
        600.0,
        description="How long a request may take to be answered in full; while it is preempted or "
        "paused that time stands still.",
    )
    paused_timeout_s: Seconds = Field(
        3600.0, description="How long a request may be preempted or paused, in all."
    )
    sse_comment_s: Seconds = Field(
        15.0,
        description="After how long without an event a comment is sent on an event stream.",
    )
    stall_timeout_s: Seconds = Field(
        60.0,
        description="How long a client may take no bytes of its stream before it is given up.",
    )
    cache_timeout_s: Seconds = Field(
        0.05,
        description="How long Redis may take to say whether an answer is in the response cache.",
    )
    cache_wait_s: Seconds = Field(
        2.0,
        description="How long a request waits for an equal one at another process, before it is "
        "answered by itself.",
    )
    cache_max_bytes: Count = Field(
        256 << 20, description="Bytes of all answers in the response cache together."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is logged."
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="One JSON object a line, or lines for people."
    )

    @model_validator(mode="after")
    def _needs_a_key(self) -> Self:
        if not self.governed and not self.key():
            raise ValueError(
                "GATEWAY_GOVERNED=false: set GATEWAY_API_KEY or GATEWAY_API_KEY_FILE, the one key"
            )
        return self

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        networks_of(text)
        return text

    def key(self) -> str:
        """The API key itself, or nothing."""
        return self.api_key.get_secret_value().strip() if self.api_key else ""


def load() -> GatewaySettings:
    """The settings of the environment; raises BadSettings with the variable and its value."""
    return base.load(GatewaySettings)

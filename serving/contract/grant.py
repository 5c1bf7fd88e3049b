"""Grants: what a request may do, signed by the gateway and checked by the BLS model.

`<payload>.<signature>`, both base64url without padding: the payload is JSON, the signature is
HMAC-SHA256 of the encoded payload. A grant is good for one Triton request of one model, by its id.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

import orjson

from serving.contract.errors import BadGrant
from serving.contract.tool_runs import NOTHING, ToolRun

# Highest first.
CLASSES = ("interactive", "standard", "agent", "batch")
STANDARD = "standard"
ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Grant:
    """None for `adapters` or `tools`: all of them. `expires_at` is Unix time, in seconds.

    `request_id` is the id of the Triton request that carries it. `guardrails` is the reference of
    the policy in force; empty: the default one. `run` is what is known of its calls of tools.
    """

    request_id: str
    model: str
    tenant: str
    expires_at: float
    project: str | None = None
    class_ceiling: str = STANDARD
    adapters: tuple[str, ...] | None = ()
    tools: tuple[str, ...] | None = ()
    can_control: bool = False
    guardrails: str = ""
    run: ToolRun = NOTHING


DEFAULT_LIFETIME_S = 30.0


def anonymous(request_id: str, model: str) -> Grant:
    """What a request without a grant may do."""
    return Grant(request_id, model, ANONYMOUS, expires_at=float("inf"))


def sign(grant: Grant, key: bytes) -> str:
    payload = _encode(orjson.dumps(grant))
    return f"{payload}.{_signature(payload, key)}"


def verify(text: str, key: bytes, *, now: float) -> Grant:
    """The grant in `text`; raises BadGrant when it is forged, malformed or expired."""
    payload, _, signature = text.partition(".")
    if not hmac.compare_digest(signature.encode(), _signature(payload, key).encode()):
        raise BadGrant("the grant's signature is wrong; only a gateway with the key can make one")
    grant = _parsed(payload)
    if grant.expires_at <= now:
        raise BadGrant("the grant has expired; send the request again")
    return grant


def _parsed(payload: str) -> Grant:
    try:
        fields = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        lists = {name: _tuple(fields[name]) for name in ("adapters", "tools")}
        return Grant(**(fields | lists | {"run": _run(fields.get("run"))}))
    except (ValueError, TypeError, KeyError, binascii.Error) as error:
        raise BadGrant("the grant's payload is not of this version") from error


def _run(fields: dict[str, Any] | None) -> ToolRun:
    if fields is None:
        return NOTHING
    return ToolRun(**(fields | {"approved": tuple(fields["approved"])}))


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def _signature(payload: str, key: bytes) -> str:
    return _encode(hmac.new(key, payload.encode(), hashlib.sha256).digest())


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

"""The key of an answer: a digest of everything that could have made it another one. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import orjson

from serving.contract.calls import Call

FORMAT = 1  # another one makes all that is stored unknown
# When and for whom a call is answered, and in how many pieces: no part of what is said. A field
# that is not named here is one, so that a new one is never forgotten.
_BESIDE = frozenset(
    {"is_streamed", "grant", "guardrails", "session", "priority", "deadline_ms", "timeouts"}
) | {"adapter", "has_engine_times", "has_token_counts"}
_SAID = tuple(field.name for field in fields(Call) if field.name not in _BESIDE)


@dataclass(frozen=True, slots=True)
class Maker:
    """Who answers, and by which rules.

    `model_version` and `adapter_version` change when what has the name is another one.
    `guardrails` is the policy as `<id>@<digest>`, `tools` those that the caller may use (None: all
    of them).
    """

    scope: str
    model: str
    model_version: str
    adapter: str | None
    adapter_version: str
    guardrails: str
    tools: tuple[str, ...] | None


def key_of(calls: Sequence[Call], maker: Maker) -> str:
    """SHA-256 in hex. The order of names in JSON objects makes no difference."""
    said = [FORMAT, maker, [_said(call) for call in calls]]
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _said(call: Call) -> dict[str, Any]:
    # As Python writes numbers: JSON has no word for some of them.
    said = {name: getattr(call, name) for name in _SAID}
    return said | {"sampling": repr(call.sampling)}

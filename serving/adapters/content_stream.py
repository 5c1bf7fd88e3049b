"""Prompts and answers on their way to where they are stored, for projects that want them kept.

The streams are short: while nobody reads them the oldest texts give way, so that the memory of
Redis stays for what matters more.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from serving.adapters.redis import Redis, shard_tag
from serving.adapters.redis_scripts import Command
from serving.adapters.shard_streams import Fields, ShardStreams
from serving.contract.content import Content

MOST_BYTES = 256 * 1024  # of one request
LONGEST = 128  # entries of a shard, about


@dataclass(frozen=True, slots=True)
class ContentEntry:
    """One entry of the stream of `shard`; `content` is None where it is none that we know."""

    shard: str
    stream_id: str
    content: Content | None


class ContentStream(ShardStreams[ContentEntry]):
    """The texts of all tenants. Every method raises StoreUnavailable."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, stream_key, _entry)


def stream_key(tag: str) -> str:
    return f"conch:{{{tag}}}:contents"


def put(content: Content) -> Command | None:
    """What sends `content` off; None when it is too long. Only for projects that keep texts."""
    if len(content.prompt) + len(content.answer) > MOST_BYTES:
        return None
    words = ("XADD", stream_key(shard_tag(content.tenant)), "MAXLEN", "~", LONGEST, "*")
    fields: tuple[Any, ...] = (
        *("event_id", content.event_id, "tenant", content.tenant, "project", content.project),
        *("began_at", repr(content.began_at), "prompt", content.prompt, "answer", content.answer),
    )
    return Command((*words, *fields))


def _entry(shard: str, stream_id: str, fields: Fields) -> ContentEntry:
    try:
        content = _content(fields)
    except (KeyError, ValueError):
        content = None
    return ContentEntry(shard, stream_id, content)


def _content(fields: Fields) -> Content:
    """Raises KeyError or ValueError when it is none."""
    for name in (b"prompt", b"answer"):
        orjson.loads(fields[name])
    return Content(
        fields[b"event_id"].decode(),
        fields[b"tenant"].decode(),
        fields[b"project"].decode(),
        float(fields[b"began_at"]),
        fields[b"prompt"],
        fields[b"answer"],
    )

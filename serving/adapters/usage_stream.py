"""Usage events on their way from the gateways to whoever stores them."""

from dataclasses import dataclass

from serving.adapters.quota_keys import stream_key
from serving.adapters.redis import Redis
from serving.adapters.shard_streams import Fields, ShardStreams
from serving.adapters.usage_events import Malformed, decode
from serving.contract.usage import UsageEvent


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the stream of `shard`; `event` is None where `payload` is none that we know."""

    shard: str
    stream_id: str
    event: UsageEvent | None
    payload: bytes


class UsageStream(ShardStreams[Entry]):
    """The events of all tenants. Every method raises StoreUnavailable."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, stream_key, _entry)


def _entry(shard: str, stream_id: str, fields: Fields) -> Entry:
    payload = fields.get(b"event", b"")
    try:
        event = decode(payload)
    except Malformed:
        event = None
    return Entry(shard, stream_id, event, payload)

"""What was spent this month, as Redis counts it: raised to what the database knows.

It is never lowered: Redis may know of requests whose events are still on their way.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby, islice
from typing import NamedTuple

from serving.adapters.quota_keys import model_scope_key, model_tag, scope_key
from serving.adapters.redis import Redis, shard_tag, shard_tags
from serving.adapters.redis_scripts import Command, Script
from serving.adapters.redis_wire import Reply, Wire, checked

AT_ONCE = 100  # scopes of one call
_SEED = Script("quota_clock", "quota_scope", "spent_seed")


class SpentScope(NamedTuple):
    """One of a tenant's scopes; without a tenant: `name` is a model, over all of them."""

    tenant: str | None
    name: str

    @property
    def tag(self) -> str:
        return model_tag(self.name) if self.tenant is None else shard_tag(self.tenant)

    @property
    def key(self) -> str:
        if self.tenant is None:
            return model_scope_key(self.tag)
        return scope_key(self.tenant, self.name)


class SpentCounters:
    """Every method raises StoreUnavailable."""

    def __init__(self, redis: Redis) -> None:
        self._wire = Wire(redis)

    async def are_known(self) -> bool:
        """Whether every shard still has the mark that `mark` made."""
        marks = [Command(("EXISTS", _mark(tag))) for tag in shard_tags()]
        return all(await self._send(marks))

    async def mark(self, lifetime_s: float) -> None:
        """For as long, or until a shard loses it together with all else it knew."""
        ms = round(lifetime_s * 1e3)
        await self._send([Command(("SET", _mark(tag), 1, "PX", ms)) for tag in shard_tags()])

    async def seed(self, month: int, spent_nusd: Mapping[SpentScope, int]) -> int:
        """Raises what scopes have spent in `month`, as 202511; how many of them knew of less."""
        scopes = sorted(spent_nusd, key=lambda scope: scope.tag)
        commands = [
            _SEED.call([scope.key for scope in some], month, *(spent_nusd[s] for s in some))
            for _, of_tag in groupby(scopes, key=lambda scope: scope.tag)
            for some in _pieces(of_tag)
        ]
        return sum(await self._send(commands))

    async def _send(self, commands: list[Command]) -> list[Reply]:
        return checked(await self._wire.send(commands)) if commands else []


def _mark(tag: str) -> str:
    return f"conch:{{{tag}}}:spent_is_known"


def _pieces(scopes: Iterable[SpentScope]) -> Iterable[list[SpentScope]]:
    left = iter(scopes)
    while some := list(islice(left, AT_ONCE)):
        yield some

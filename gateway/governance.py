"""What governs: the followed policy, who may come in by it, quotas and usage."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from gateway.cache_metrics import CacheMetrics
from gateway.cache_versions import Versions
from gateway.gate import Governance
from gateway.governor import open_governor
from gateway.metrics import Metrics
from gateway.policy import follow
from gateway.policy_file import PolicyFile
from gateway.quota_metrics import QuotaMetrics
from gateway.response_cache import Patience, open_cache
from gateway.settings import GatewaySettings
from gateway.stages.auth import Governed
from gateway.stages.remember import open_archive
from gateway.stages.tool_runs import open_tool_runs
from serving.adapters import redis
from serving.adapters.policy_feed import PolicyFeed
from serving.adapters.triton import Triton
from serving.contract.task_errors import bare_errors
from serving.identity.identify import Verifier, open_verifier
from serving.settings.base import BadSettings, load
from serving.settings.stores import RedisSettings
from serving.settings.trust import TrustSettings


@asynccontextmanager
async def govern(
    settings: GatewaySettings, metrics: Metrics, triton: Triton
) -> AsyncIterator[tuple[Governed, Governance]]:
    """Raises BadSettings. Redis need not be there: what was known last is on disk."""
    trust, store = load(TrustSettings), load(RedisSettings)
    _prepare(settings.state_dir)
    key = _bytes(trust.grant_key)
    async with (
        redis.connect(store) as client,
        follow(PolicyFeed(client), PolicyFile(settings.state_dir)) as policy,
        open_verifier(_bytes(trust.key_pepper)) as verifier,
        _fresh_keys(verifier),
        # Around the governor, which ends last requests: they have texts, too.
        open_archive(client, timeout_s=store.timeout_s) as archive,
        open_tool_runs(client, timeout_s=store.timeout_s) as tool_runs,
        open_cache(
            client,
            Versions(triton, key),
            CacheMetrics(metrics.registry),
            Patience(settings.cache_timeout_s, settings.cache_wait_s),
            most_bytes=settings.cache_max_bytes,
        ) as cache,
        open_governor(
            client,
            settings.state_dir / "spool",
            QuotaMetrics(metrics.registry),
            lease_s=settings.lease_s,
            timeout_s=store.timeout_s,
        ) as governor,
    ):
        metrics.watch_policy(policy)
        yield (
            Governed(policy, verifier),
            Governance(policy, governor, archive, tool_runs, key, cache),
        )


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadSettings(
            f"GATEWAY_STATE_DIR={folder}: it cannot be made ({error.strerror})"
        ) from error


@asynccontextmanager
async def _fresh_keys(verifier: Verifier) -> AsyncIterator[None]:
    """The keys of issuers are renewed before a request would have to wait for them."""
    with bare_errors():
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(verifier.issuers.keep_fresh())
            try:
                yield
            finally:
                keeper.cancel()


def _bytes(secret: SecretStr) -> bytes:
    return secret.get_secret_value().encode()

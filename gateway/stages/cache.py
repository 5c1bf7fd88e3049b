"""Cache: an answer that is there already is given again; equal requests share one generation."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from gateway.ask import Ask
from gateway.cache_key import Maker, key_of
from gateway.cache_rules import Bypass, CacheRules, bypass_of, rules_of
from gateway.cache_wanted import NEVER_S, Source, Wanted
from gateway.response_cache import Cache
from gateway.stages.choose import served_name
from gateway.stages.grant import Signer
from gateway.telemetry import Record
from serving.adapters.response_cache import Place
from serving.contract.cache import CacheOutcome
from serving.contract.calls import Chunk, Timeouts
from serving.contract.principal import Principal
from serving.identity.directory import Directory

MODEL, ADAPTER, TENANT, PROJECT, SESSION = "model", "adapter", "tenant", "project", "session"


@asynccontextmanager
async def looked_up(
    cache: Cache | None,
    directory: Directory | None,
    ask: Ask,
    signer: Signer,
    record: Record,
    source: Source,
) -> AsyncIterator[AsyncIterator[Chunk]]:
    """The chunks of an answer that is there, of one that is being made, or those of `source`.

    Leaving the block early ends the making of it, unless others take it, too.
    """
    wanted = await _wanted(cache, directory, ask, signer)
    if cache is None or wanted is None:
        async with source(ask.calls) as chunks:
            yield chunks
    elif isinstance(wanted, Bypass):
        cache.metrics.bypasses.labels(wanted).inc()
        record.answered_from_cache(CacheOutcome.BYPASS)
        async with source(ask.calls) as chunks:
            yield chunks
    else:
        async with _found_or_made(cache, wanted, record, source) as chunks:
            yield chunks


@asynccontextmanager
async def _found_or_made(
    cache: Cache, wanted: Wanted, record: Record, source: Source
) -> AsyncIterator[AsyncIterator[Chunk]]:
    if not cache.flights.has(wanted.flight):
        found = await cache.find(wanted)
        if found is not None:
            cache.counted(is_hit=True)
            record.answered_from_cache(CacheOutcome.HIT, found.age_s)
            yield _each(found.chunks)
            return
    # Asked again: another may have begun while Redis was asked.
    if cache.flights.has(wanted.flight):
        cache.metrics.joins.inc()
    with cache.flights.seat(wanted.flight, partial(cache.fill, wanted, source), record) as seat:
        yield seat.chunks()


async def _each(chunks: list[Chunk]) -> AsyncIterator[Chunk]:
    for chunk in chunks:
        yield chunk


async def _wanted(
    cache: Cache | None, directory: Directory | None, ask: Ask, signer: Signer
) -> Wanted | Bypass | None:
    """None: there is no cache for it."""
    if cache is None or directory is None:
        return None
    rules = rules_of(directory, signer.principal)
    if rules is None:
        return None
    bypass = bypass_of(rules, ask, signer)
    if bypass is not None:
        return bypass
    if not cache.is_up:
        return Bypass.STORE
    versions = await cache.versions.of(ask.model, ask.adapter)
    if versions is None:
        return Bypass.UNKNOWN_MODEL
    return wanted_of(ask, signer, rules, versions)


def wanted_of(ask: Ask, signer: Signer, rules: CacheRules, versions: tuple[str, str]) -> Wanted:
    """Pure."""
    principal = signer.principal
    has_tools = any(call.tools for call in ask.calls)
    maker = Maker(
        rules.scope,
        ask.model,
        versions[0],
        ask.adapter,
        versions[1],
        signer.guardrails.reference,
        _sorted(principal.tools) if has_tools else None,
    )
    place = Place(rules.scope, key_of(ask.calls, maker))
    max_age_s = _max_age_s(ask, rules)
    return Wanted(
        place=place,
        calls=ask.calls,
        model=ask.model,
        adapter=ask.adapter,
        versions=versions,
        max_age_s=max_age_s,
        ttl_s=rules.ttl_s,
        max_bytes=rules.max_bytes,
        tags=_tags(ask, principal),
        flight=_flight(ask, place, max_age_s),
    )


def _sorted(tools: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if tools is None else tuple(sorted(tools))


def _max_age_s(ask: Ask, rules: CacheRules) -> float:
    wish = ask.cache.max_age_s
    if wish is None:
        return rules.ttl_s
    return min(wish, rules.ttl_s) if wish else NEVER_S


def _flight(ask: Ask, place: Place, max_age_s: float) -> object:
    """Who has times of its own, or wants a new answer, shares with nobody: it flies alone."""
    call = ask.calls[0]
    if max_age_s == NEVER_S or call.deadline_ms is not None or call.timeouts != Timeouts():
        return object()
    return place, call.priority, max_age_s


def tag(kind: str, value: str) -> str:
    """What answers are purged by; sessions have names that clients choose."""
    return f"{kind}={value}".replace("\n", " ")


def _tags(ask: Ask, principal: Principal) -> tuple[str, ...]:
    said = {
        MODEL: ask.model,
        ADAPTER: None if ask.adapter is None else served_name(ask.model, ask.adapter),
        TENANT: principal.tenant,
        PROJECT: principal.project,
        SESSION: ask.calls[0].session,
    }
    return tuple(tag(kind, value) for kind, value in said.items() if value is not None)

"""Choose: the adapter that answers a request. The client's word for it, or else a rule's."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.ask import Ask
from gateway.stages.adapter_rules import matching
from gateway.stages.adapters import Adapters, may_use
from gateway.stages.route import Catalogue, route
from serving.contract.errors import AdapterNotFound, InvalidRequest
from serving.contract.policy import AdapterRule
from serving.contract.principal import Principal

BARE = ""  # what a client says who wants the model as it is, whatever the rules say


async def choose(
    ask: Ask,
    principal: Principal,
    rules: Sequence[AdapterRule],
    catalogue: Catalogue,
    adapters: Adapters,
) -> Ask:
    """`ask` of a base model and one adapter of it, or none.

    Raises InvalidRequest where the client names two, AdapterNotFound, and what `route` raises.
    """
    model, said = split(ask.model)
    if said is not None and ask.adapter not in (None, said):
        raise InvalidRequest(
            f"'model' asks for adapter '{said[:64]}' and 'adapter' for '{ask.adapter[:64]}'; "
            "give one of them",
            param="adapter",
        )
    wanted, param = (ask.adapter, "adapter") if said is None else (said, "model")
    if wanted is None:
        return _of(ask, model, await _by_rule(ask, model, principal, rules, catalogue, adapters))
    if wanted == BARE:
        return _of(ask, model, None)
    await check(model, wanted, principal, catalogue, adapters, param=param)
    return _of(ask, model, wanted, param)


async def check(
    model: str,
    adapter: str,
    principal: Principal,
    catalogue: Catalogue,
    adapters: Adapters,
    *,
    param: str,
) -> None:
    """Raises AdapterNotFound for one that is not there for the principal, or what `route` does."""
    await route(model, principal, catalogue)
    if not (may_use(principal, adapter) and await adapters.has(model, adapter)):
        raise not_found(model, adapter, param)


def split(name: str) -> tuple[str, str | None]:
    """`demo:pirate` is adapter `pirate` of `demo`, `demo:` is BARE; None where nothing is said."""
    model, colon, adapter = name.partition(":")
    return model, adapter if colon else None


def served_name(model: str, adapter: str | None) -> str:
    """What `split` takes apart."""
    return model if adapter is None else f"{model}:{adapter}"


def not_found(model: str, adapter: str, param: str) -> AdapterNotFound:
    """The same for one that is not there and for one that the principal may not use."""
    return AdapterNotFound(
        f"model '{model[:64]}' has no adapter '{adapter[:64]}'; GET /v1/models lists what there is",
        param=param,
    )


def _of(ask: Ask, model: str, adapter: str | None, param: str | None = None) -> Ask:
    calls = tuple(
        call if call.adapter == adapter else replace(call, adapter=adapter) for call in ask.calls
    )
    return replace(ask, model=model, adapter=adapter, adapter_param=param, calls=calls)


async def _by_rule(
    ask: Ask,
    model: str,
    principal: Principal,
    rules: Sequence[AdapterRule],
    catalogue: Catalogue,
    adapters: Adapters,
) -> str | None:
    """The adapter of the first rule that holds; one whose adapter is not there does not."""
    holding = matching(rules, model, principal, ask.calls)
    if holding:
        await route(model, principal, catalogue)
    for rule in holding:
        if await adapters.has(model, rule.adapter):
            return rule.adapter
    return None

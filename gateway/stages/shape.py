"""Shape: what the operator's run-time settings make of a request."""

from dataclasses import replace

from gateway.ask import Ask
from serving.contract.calls import Call
from serving.contract.errors import InvalidRequest
from serving.contract.policy import Settings


def shape(ask: Ask, settings: Settings, default_max_tokens: int | None = None) -> Ask:
    """`ask` with defaults where it leaves something open; raises InvalidRequest above a maximum.

    `default_max_tokens` is the gateway's own, for when `settings` has none.
    """
    default = settings.default_max_tokens or default_max_tokens
    return replace(ask, calls=tuple(_shaped(call, settings, default) for call in ask.calls))


def _shaped(call: Call, settings: Settings, default: int | None) -> Call:
    given, most = call.sampling, settings.max_tokens
    if most is not None and given.max_tokens is not None and given.max_tokens > most:
        raise InvalidRequest(
            f"'max_tokens' is {given.max_tokens}, it can be at most {most}", param="max_tokens"
        )
    sampling = replace(
        given,
        max_tokens=given.max_tokens or _least(default, most),
        temperature=settings.temperature if given.temperature is None else given.temperature,
    )
    return call if sampling == given else replace(call, sampling=sampling)


def _least(*given: int | None) -> int | None:
    return min((number for number in given if number is not None), default=None)

"""Limits, money and spans of time as options of commands."""

import inspect
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import wraps
from typing import Annotated, Any

import typer

from serving.cli.limits import NUSD

NONE = "none"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
PER_MILLION = NUSD // 10**6
Command = Callable[..., None]


class _Without:
    """A limit that is to be taken away; None is one that was not named."""


WITHOUT = _Without()


def nanodollars(dollars: str, unit: int = NUSD) -> int:
    """Raises BadParameter for what cannot be counted in whole nanodollars."""
    try:
        found = Decimal(dollars.removeprefix("$")) * unit
    except InvalidOperation:
        raise typer.BadParameter(f"'{dollars}' is no amount of USD, such as 12.50") from None
    if not found.is_finite() or found < 0 or found != found.to_integral_value():
        raise typer.BadParameter(f"'{dollars}' USD has too many digits, or is below zero")
    return int(found)


def nanodollars_per_token(dollars_per_million: str) -> int:
    return nanodollars(dollars_per_million, PER_MILLION)


def seconds(span: str) -> int:
    """90s, 15m, 12h or 30d."""
    form = re.fullmatch(r"(\d{1,9})([smhd])", span)
    if form is None:
        raise typer.BadParameter(f"'{span}' is no span of time, such as 90s, 15m, 12h or 30d")
    return int(form[1]) * SECONDS[form[2]]


def _count(text: str) -> int | _Without:
    if text == NONE:
        return WITHOUT
    if not (text.isascii() and text.isdigit()):
        raise typer.BadParameter(f"'{text}' is no number; `{NONE}` takes the limit away")
    return int(text)


def _money(text: str) -> int | _Without:
    return WITHOUT if text == NONE else nanodollars(text)


def _option(parser: Callable[[str], Any], flag: str, what: str) -> Any:
    option = typer.Option(flag, parser=parser, metavar=f"N|{NONE}", help=what)
    return Annotated[Any, option]


_OPTIONS = {
    "requests_per_minute": _option(_count, "--requests-per-minute", "Requests a minute."),
    "input_tokens_per_minute": _option(
        _count, "--input-tokens-per-minute", "Prompt tokens a minute."
    ),
    "output_tokens_per_minute": _option(
        _count, "--output-tokens-per-minute", "Generated tokens a minute."
    ),
    "concurrent_requests": _option(_count, "--concurrent-requests", "Requests at a time."),
    "tokens_per_day": _option(_count, "--tokens-per-day", "Tokens in any 24 hours."),
    "budget_nusd": _option(_money, "--budget", "USD a month, as in 12.50."),
    "soft_budget_nusd": _option(_money, "--soft-budget", "USD a month after which to warn."),
    "burst_s": _option(_count, "--burst-s", "Seconds' worth of a rate that may come at once."),
}


def takes_limits(command: Command) -> Command:
    """Adds an option for every limit; `command` gets the named ones as `limits`, to be sent."""

    @wraps(command)
    def with_limits(**given: Any) -> None:
        named = {name: given.pop(name) for name in _OPTIONS}
        limits = {name: value for name, value in named.items() if value is not None}
        command(limits={n: None if v is WITHOUT else v for n, v in limits.items()}, **given)

    own = inspect.signature(command, eval_str=True)
    kept = [each for each in own.parameters.values() if each.name != "limits"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in _OPTIONS.items()
    ]
    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in kept] + added
    with_limits.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_limits.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_limits

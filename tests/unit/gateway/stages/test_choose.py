"""Which adapter answers: a name in the model's, the field, the first rule that holds, or none."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gateway.ask import Ask
from gateway.stages.adapter_rules import MOST_CHARACTERS
from gateway.stages.adapters import UNLISTED, Adapters
from gateway.stages.auth import ALONE
from gateway.stages.choose import choose, served_name, split
from gateway.stages.route import Catalogue
from serving.contract.calls import Call
from serving.contract.errors import AdapterNotFound, InvalidRequest, ModelNotFound, Unavailable
from serving.contract.policy import AdapterRule

PRINCIPAL = replace(ALONE, tenant="acme", project="acme/web")
PIRATE, TERSE = AdapterRule("demo", "pirate"), AdapterRule("demo", "terse")


class Listing:
    """The adapters of every model, and how often they were asked for."""

    def __init__(self, *names: str, error: Exception | None = None) -> None:
        self.names, self.error, self.asked = names, error, 0

    async def __call__(self, _model: str) -> tuple[str, ...]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return self.names


async def models() -> tuple[str, ...]:
    return ("demo", "other")


def chat(*contents: Any, role: str = "user", **ask: Any) -> Ask:
    messages = tuple({"role": role, "content": content} for content in contents)
    return Ask(**{"model": "demo", "calls": (Call(messages=messages),), **ask})


async def chosen(
    ask: Ask, *rules: AdapterRule, listing: Listing | None = None, **principal: Any
) -> Ask:
    adapters = Adapters(listing or Listing("pirate", "terse"))
    who = replace(PRINCIPAL, **principal)
    made = await choose(ask, who, rules, Catalogue(models), adapters)
    assert {call.adapter for call in made.calls} == {made.adapter}
    return made


def said(model: str = "demo", adapter: str | None = None) -> Ask:
    return Ask(model, (Call(text="a"), Call(text="b")), adapter=adapter)


@pytest.mark.parametrize(
    ("ask", "adapter", "param"),
    [
        (said(), None, None),
        (said("demo:pirate"), "pirate", "model"),
        (said(adapter="pirate"), "pirate", "adapter"),
        (said("demo:pirate", "pirate"), "pirate", "model"),
        (said("demo:"), None, None),
        (said(adapter=""), None, None),
        (said("demo:", ""), None, None),
    ],
)
async def test_the_clients_word_is_in_the_models_name_or_in_the_field(
    ask: Ask, adapter: str | None, param: str | None
) -> None:
    made = await chosen(ask)
    assert (made.model, made.adapter, made.adapter_param) == ("demo", adapter, param)


@pytest.mark.parametrize(
    "ask", [said("demo:pirate", "terse"), said("demo:", "terse"), said("demo:pirate", "")]
)
async def test_two_words_that_differ_are_a_bad_request(ask: Ask) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await chosen(ask)
    assert refused.value.param == "adapter"


async def test_the_clients_word_goes_before_every_rule() -> None:
    assert (await chosen(said("demo:terse"), PIRATE)).adapter == "terse"
    assert (await chosen(said(adapter="terse"), PIRATE)).adapter == "terse"
    assert (await chosen(said("demo:"), PIRATE)).adapter is None
    assert (await chosen(said(adapter=""), PIRATE)).adapter is None


@pytest.mark.parametrize("by", ["model", "adapter"])
async def test_what_is_not_there_and_what_is_not_allowed_look_alike(by: str) -> None:
    def asking(name: str) -> Ask:
        return said(f"demo:{name}") if by == "model" else said(adapter=name)

    with pytest.raises(AdapterNotFound) as unknown:
        await chosen(asking("nobody"))
    with pytest.raises(AdapterNotFound) as not_allowed:
        await chosen(asking("pirate"), adapters=("terse",))
    assert unknown.value.param == not_allowed.value.param == by
    assert not_allowed.value.message == unknown.value.message.replace("nobody", "pirate")


async def test_a_key_without_adapters_gets_the_bare_model_only() -> None:
    with pytest.raises(AdapterNotFound):
        await chosen(said("demo:pirate"), adapters=())
    assert (await chosen(said("demo:"), adapters=())).adapter is None


@pytest.mark.parametrize("model", ["nope:pirate", "demo:pirate"])
async def test_a_model_that_is_not_there_for_the_caller_has_no_adapters(model: str) -> None:
    with pytest.raises(ModelNotFound):
        await chosen(said(model), models=("other",))


async def test_the_first_rule_that_holds_counts() -> None:
    assert (await chosen(said(), PIRATE, TERSE)).adapter == "pirate"
    assert (await chosen(said(), TERSE, PIRATE)).adapter == "terse"
    assert (await chosen(said("other"), PIRATE)).adapter is None
    made = await chosen(said(), PIRATE)
    assert made.adapter_param is None


@pytest.mark.parametrize(
    ("bound", "holds"),
    [
        ({"tenant": "acme"}, True),
        ({"tenant": "rival"}, False),
        ({"tenant": "acme", "project": "acme/web"}, True),
        ({"tenant": "acme", "project": "acme/other"}, False),
    ],
)
async def test_a_rule_may_be_for_one_tenant_or_project(bound: dict[str, str], holds: bool) -> None:
    rule = replace(PIRATE, **bound)
    assert (await chosen(said(), rule)).adapter == ("pirate" if holds else None)


async def test_a_rule_does_not_hold_for_who_may_not_use_its_adapter() -> None:
    assert (await chosen(said(), PIRATE, TERSE, adapters=("terse",))).adapter == "terse"
    assert (await chosen(said(), PIRATE, adapters=())).adapter is None


async def test_a_rule_does_not_hold_while_its_adapter_is_not_there() -> None:
    listing = Listing("terse")
    assert (await chosen(said(), PIRATE, TERSE, listing=listing)).adapter == "terse"


PHRASES = replace(PIRATE, contains=("ahoy", "STRASSE"))


@pytest.mark.parametrize(
    ("ask", "holds"),
    [
        (chat("AHOY there"), True),
        (chat("in der Straße"), True),
        (chat("hello"), False),
        (chat("ahoy", "hello"), False),
        (chat("hello", "well, ahoy"), True),
        (chat("ahoy", role="system"), False),
        (chat([{"type": "text", "text": "say"}, {"type": "text", "text": " Ahoy"}]), True),
        (chat([{"text": 7}, "ahoy", None]), False),
        (chat(None), False),
        (chat("x" * MOST_CHARACTERS + " ahoy"), False),
        (Ask("demo", (Call(text="Ahoy!"),)), True),
        (Ask("demo", (Call(text="Ahoy!"), Call(text="hello"))), False),
        (Ask("demo", (Call(input_ids=(1, 2)),)), False),
    ],
)
async def test_a_class_of_prompts_is_known_by_its_phrases(ask: Ask, holds: bool) -> None:
    assert (await chosen(ask, PHRASES)).adapter == ("pirate" if holds else None)


async def test_without_a_name_or_a_rule_nobody_is_asked() -> None:
    listing = Listing("pirate")
    await chosen(said(), listing=listing)
    await chosen(said("demo:"), PIRATE, listing=listing)
    await chosen(chat("hello"), PHRASES, listing=listing)
    assert listing.asked == 0


async def test_an_adapter_seen_before_is_not_asked_for_again() -> None:
    listing = Listing("pirate")
    adapters, catalogue = Adapters(listing), Catalogue(models)
    for _ in range(3):
        await choose(said("demo:pirate"), PRINCIPAL, (), catalogue, adapters)
    assert listing.asked == 1
    listing.names = ()
    adapters.forget("demo", "pirate")
    with pytest.raises(AdapterNotFound):
        await choose(said("demo:pirate"), PRINCIPAL, (), catalogue, adapters)


async def test_requests_that_meet_ask_once_and_a_failure_is_theirs_too() -> None:
    listing = Listing(error=Unavailable("away"))
    adapters, catalogue = Adapters(listing), Catalogue(models)
    asks = (choose(said("demo:x"), PRINCIPAL, (PIRATE,), catalogue, adapters) for _ in range(8))
    outcomes = await asyncio.gather(*asks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert listing.asked == 1


async def test_who_cannot_list_passes_names_on() -> None:
    adapters = Adapters()
    made = await choose(said("demo:any"), PRINCIPAL, (), Catalogue(models), adapters)
    assert made.adapter == "any"
    assert await adapters.of("demo") == ()
    assert adapters.label("demo", "any") == UNLISTED


async def test_metrics_have_words_for_listed_adapters_only() -> None:
    adapters = Adapters(Listing("pirate"))
    assert [adapter.name for adapter in await adapters.of("demo")] == ["pirate"]
    labels = [adapters.label("demo", name) for name in ("pirate", "else", None)]
    assert labels == ["pirate", UNLISTED, ""]


@pytest.mark.parametrize(("name", "parts"), [("a", ("a", None)), ("a:b:c", ("a", "b:c"))])
def test_a_name_is_put_together_as_it_is_taken_apart(
    name: str, parts: tuple[str, str | None]
) -> None:
    assert split(name) == parts
    assert served_name(*parts) == name

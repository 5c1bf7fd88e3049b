"""The catalogue asks seldom, shares what it hears, and does not forget a model that it has seen."""

import asyncio
from dataclasses import replace

import pytest

from gateway.stages.auth import ALONE
from gateway.stages.route import Catalogue, route
from serving.contract.errors import ModelNotFound, Unavailable


class Listing:
    """A list of models that counts how often it is asked."""

    def __init__(self, *answers: tuple[str, ...] | Unavailable) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self) -> tuple[str, ...]:
        self.asked += 1
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Unavailable):
            raise answer
        return answer


async def test_callers_that_meet_ask_once() -> None:
    listing = Listing(("a", "b"))
    catalogue = Catalogue(listing)
    models = await asyncio.gather(*(catalogue.models() for _ in range(8)))
    assert listing.asked == 1
    assert all(list(found) == ["a", "b"] for found in models)


async def test_failure_is_shared_and_then_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = Listing(Unavailable("away"), ("a",))
    catalogue = Catalogue(listing)
    outcomes = await asyncio.gather(*(catalogue.models() for _ in range(8)), return_exceptions=True)
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    assert listing.asked == 1
    monkeypatch.setattr("gateway.stages.route.time.monotonic", lambda: float("inf"))
    assert list(await catalogue.models()) == ["a"]


async def test_known_model_needs_no_question() -> None:
    listing = Listing(("a",))
    catalogue = Catalogue(listing)
    created = (await route("a", ALONE, catalogue)).created
    for _ in range(5):
        assert (await route("a", ALONE, catalogue)).created == created
    assert listing.asked == 1


async def test_unknown_model_is_named_and_cut_short() -> None:
    with pytest.raises(ModelNotFound, match=r"model 'x+' is not deployed") as caught:
        await route("x" * 250, ALONE, Catalogue(Listing(("a",))))
    assert caught.value.param == "model"
    assert len(caught.value.message) < 150


async def test_a_model_that_the_principal_may_not_use_is_not_there() -> None:
    bound = replace(ALONE, models=("b",))
    with pytest.raises(ModelNotFound, match="model 'a' is not deployed"):
        await route("a", bound, Catalogue(Listing(("a", "b"))))
    assert (await route("b", bound, Catalogue(Listing(("a", "b"))))).name == "b"

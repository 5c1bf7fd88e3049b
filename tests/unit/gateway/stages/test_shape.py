"""What run-time settings make of a request."""

import pytest

from gateway.ask import Ask
from gateway.stages.shape import shape
from serving.contract.calls import Call, Sampling
from serving.contract.errors import InvalidRequest
from serving.contract.policy import Settings


def sampling(given: Sampling, **settings: object) -> Sampling:
    ask = Ask("m", (Call(text="a", sampling=given),))
    return shape(ask, Settings(**settings)).calls[0].sampling


def test_without_settings_a_request_stays_as_it_is() -> None:
    ask = Ask("m", (Call(text="a"),))
    assert shape(ask, Settings()).calls[0] is ask.calls[0]


def test_defaults_fill_what_the_client_left_open() -> None:
    made = sampling(Sampling(), default_max_tokens=7, temperature=0.5)
    assert (made.max_tokens, made.temperature) == (7, 0.5)


def test_what_the_client_said_stands() -> None:
    made = sampling(Sampling(max_tokens=3, temperature=0.0), default_max_tokens=7, temperature=0.5)
    assert (made.max_tokens, made.temperature) == (3, 0.0)


def test_an_answer_without_a_limit_has_the_maximum() -> None:
    assert sampling(Sampling(), max_tokens=9).max_tokens == 9


def test_more_than_the_maximum_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="'max_tokens' is 10, it can be at most 9") as caught:
        sampling(Sampling(max_tokens=10), max_tokens=9)
    assert caught.value.param == "max_tokens"


@pytest.mark.parametrize(
    ("settings", "own", "made"),
    [
        (Settings(), 7, 7),
        (Settings(default_max_tokens=3), 7, 3),
        (Settings(max_tokens=5), 7, 5),
        (Settings(max_tokens=9), 7, 7),
    ],
)
def test_the_gateways_own_default_gives_way_to_what_is_set_at_run_time(
    settings: Settings, own: int, made: int
) -> None:
    asked = Ask("m", (Call(text="a"),))
    assert shape(asked, settings, own).calls[0].sampling.max_tokens == made

"""Embeddings at the gateway, as far as no model is needed."""

import pytest

from gateway.api.embeddings_schema import embeddings_ask
from gateway.embed import calls_of
from gateway.estimates import Estimates
from gateway.settings import GatewaySettings
from serving.contract.errors import InvalidRequest

SETTINGS = GatewaySettings(governed=False, api_key="sk-unit")
STRICT = GatewaySettings(governed=False, api_key="sk-unit", strict=True)


def test_nothing_is_reserved_for_an_answer_that_embeddings_do_not_have():
    estimate = Estimates().of("key:a", "embedding", calls_of(["a", "b"]), 100)
    assert (estimate.prompt_tokens, estimate.completion_tokens) == (30, 0)
    assert not estimate.is_guess


def test_a_text_and_a_list_of_one_ask_the_same():
    one, listed = (
        embeddings_ask({"model": "m", "input": given}, SETTINGS) for given in ("a", ["a"])
    )
    assert one == listed
    assert [call.text for call in one.calls] == ["a"]


@pytest.mark.parametrize(
    ("encoding_format", "is_base64"), [(None, False), ("float", False), ("base64", True)]
)
def test_the_encoding_is_what_was_asked_for(encoding_format, is_base64):
    body = {"model": "m", "input": "a", "encoding_format": encoding_format}
    assert embeddings_ask(body, SETTINGS).is_base64 == is_base64


def test_a_strict_gateway_refuses_unknown_parameters_here_too():
    body = {"model": "m", "input": "a", "truncate": True}
    assert embeddings_ask(body, SETTINGS).model == "m"
    with pytest.raises(InvalidRequest) as caught:
        embeddings_ask(body, STRICT)
    assert caught.value.param == "truncate"

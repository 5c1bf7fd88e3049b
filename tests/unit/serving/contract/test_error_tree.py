"""An error survives the one string that a Triton response has for it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.contract import errors
from serving.contract.errors import ConchError, InvalidRequest, from_wire, to_wire

LEAVES = errors._below(ConchError)
CLIENT_MISTAKES = {400, 401, 404, 405, 413, 499}


@given(
    st.sampled_from(LEAVES),
    st.text(max_size=40),
    st.none() | st.text(st.characters(exclude_characters="]"), min_size=1, max_size=20),
    st.sampled_from(["", "Failed to process the request(s) for model 'demo', message: "]),
)
def test_an_error_survives_the_wire(leaf, message, param, prefix):
    error = from_wire(prefix + to_wire(leaf(message, param=param)))
    assert error is not None
    assert (type(error), error.message, error.param) == (leaf, message, param)


@given(st.text(max_size=40).filter(lambda text: ":" not in text))
def test_any_other_text_carries_no_error_of_ours(text):
    assert from_wire(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Request for unknown model: 'x' is not found",
        "not_cancelled: x",
        "unexpired: x",
        "in_queue_full: x",
        "Failed to process the request(s) for model 'x', message: Traceback: x",
    ],
)
def test_a_code_is_a_whole_word(text):
    assert from_wire(text) is None


def test_the_first_code_is_the_one_that_counts():
    error = from_wire(to_wire(InvalidRequest("expired: engine_failed: x", param="stop")))
    assert (type(error), error.message) == (InvalidRequest, "expired: engine_failed: x")


def test_every_code_belongs_to_one_error():
    codes = [leaf.code for leaf in LEAVES]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch("[a-z_]+", code) for code in codes)


@pytest.mark.parametrize("leaf", LEAVES)
def test_the_tree_in_the_docstring_is_the_tree(leaf):
    assert re.search(rf"── {leaf.__name__} +{leaf.status}  ", errors.__doc__)


@pytest.mark.parametrize("leaf", LEAVES)
def test_only_what_is_no_mistake_of_the_client_is_retryable(leaf):
    assert not (leaf.is_retryable and leaf.status in CLIENT_MISTAKES)

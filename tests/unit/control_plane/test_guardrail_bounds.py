"""A policy is bounded as a whole, too: it travels with requests."""

import pytest

from control_plane.guardrails.schemas import MOST_BYTES, NewGuardrails
from serving.contract.errors import InvalidRequest
from serving.identity.documents import encode


def policy(checks):
    body = NewGuardrails.model_validate({"id": "acme/own", "checks": checks})
    return body.policy(body.id)


def test_a_policy_is_at_most_64_kib():
    phrases = [f"{n:03}{'x' * 240}" for n in range(256)]
    one = {"kind": "words", "action": "block", "phrases": phrases}
    assert len(encode(policy([one]))) < MOST_BYTES
    with pytest.raises(InvalidRequest, match="65536 bytes") as refused:
        policy([one, one])
    assert refused.value.param == "checks"


def test_its_id_says_whose_it_is():
    assert policy([]).tenant == "acme"

"""Grants that a gateway signs for the requests of a principal."""

import time
from dataclasses import replace

import pytest

from gateway.stages.auth import ALONE
from gateway.stages.grant import Signer, ceiling, operator_grant
from serving.contract.calls import Call
from serving.contract.errors import BadGrant
from serving.contract.grant import verify

KEY = b"k" * 32
PRINCIPAL = replace(ALONE, tenant="acme", project="acme/chat", tools=("search",))


def test_a_grant_says_what_its_principal_may_do() -> None:
    signed = Signer(KEY, PRINCIPAL).signed(Call(text="a"), "demo", "req-1")
    assert signed.grant is not None
    grant = verify(signed.grant, KEY, now=time.time())
    assert (grant.request_id, grant.model, grant.tenant, grant.project) == (
        "req-1", "demo", "acme", "acme/chat",
    )  # fmt: skip
    assert (grant.class_ceiling, grant.adapters, grant.tools) == ("interactive", (), ("search",))
    assert not grant.can_control


def test_a_grant_is_for_the_one_adapter_that_was_chosen() -> None:
    bound = replace(PRINCIPAL, adapters=("pirate", "terse"))
    for principal in (PRINCIPAL, bound):
        signed = Signer(KEY, principal).signed(Call(text="a", adapter="terse"), "demo", "req-1")
        assert verify(signed.grant or "", KEY, now=time.time()).adapters == ("terse",)


def test_an_operation_of_the_gateways_own_is_nobody_elses() -> None:
    text, request_id = operator_grant("demo", KEY)
    grant = verify(text, KEY, now=time.time())
    assert (grant.request_id, grant.model, grant.can_control) == (request_id, "demo", True)
    assert (grant.adapters, grant.tools, grant.project) == ((), (), None)
    assert operator_grant("demo", KEY)[1] != request_id


def test_another_key_does_not_open_it() -> None:
    signed = Signer(KEY, PRINCIPAL).signed(Call(text="a"), "demo", "req-1")
    with pytest.raises(BadGrant, match="signature"):
        verify(signed.grant or "", b"x" * 32, now=time.time())


def test_without_a_key_nothing_is_signed() -> None:
    call = Call(text="a")
    assert Signer(None, PRINCIPAL).signed(call, "demo", "req-1") is call


@pytest.mark.parametrize(
    ("classes", "highest"),
    [(None, "interactive"), (("batch", "agent"), "agent"), ((), "batch"), (("new",), "batch")],
)
def test_the_ceiling_is_the_highest_class_that_is_allowed(
    classes: tuple[str, ...] | None, highest: str
) -> None:
    assert ceiling(classes) == highest

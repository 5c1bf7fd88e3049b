"""Which policy counts for whom, and that nobody but the gateway says so."""

import time
from dataclasses import replace

import pytest
from tritonclient.grpc import service_pb2

from gateway.kserve.ask import ask_of
from gateway.settings import GatewaySettings
from gateway.stages.auth import ALONE
from gateway.stages.grant import Signer
from gateway.stages.guardrails import BY_DEFAULT, InForce, policy_of
from serving.adapters.triton import infer_request
from serving.contract.calls import Call
from serving.contract.errors import ConchError
from serving.contract.grant import verify
from serving.contract.guardrails import Action, Check, CheckKind, GuardrailPolicy
from serving.contract.policy import Document, Project, Settings, Tenant, Version
from serving.contract.wire import single, strings
from serving.guardrails.default_policy import DEFAULT, OFF
from serving.guardrails.wire import is_of, parsed, sealed
from serving.identity.directory import Directory, Entry

KEY = b"k" * 32
STRICT = GuardrailPolicy("acme/strict", (Check(CheckKind.SECRETS, Action.BLOCK),), tenant="acme")
OURS = GuardrailPolicy("house", (Check(CheckKind.SIZE, Action.FLAG, max_characters=9),))
PRINCIPAL = replace(ALONE, tenant="acme", project="acme/chat")


def directory(*documents: Document) -> Directory:
    made = Directory(Version("epoch", 1))
    made.put(Entry(type(document), document.id, document) for document in documents)
    return made


def test_without_governance_it_is_the_default_one():
    assert policy_of(None, PRINCIPAL) == BY_DEFAULT
    assert BY_DEFAULT.text is None  # every model knows it


@pytest.mark.parametrize(
    ("project", "tenant", "everybody", "expected"),
    [
        (None, None, "default", DEFAULT),
        (None, None, "house", OURS),
        (None, "house", "default", OURS),
        ("acme/strict", "house", "default", STRICT),
        ("off", "house", "house", OFF),
        ("acme/gone", None, "house", DEFAULT),
    ],
)
def test_the_nearest_choice_counts(project, tenant, everybody, expected):
    known = directory(
        Settings(guardrails=everybody),
        Tenant("acme", "Acme", guardrails=tenant),
        Project("acme/chat", "acme", "Chat", guardrails=project),
        STRICT,
        OURS,
    )
    found = policy_of(known, PRINCIPAL)
    assert found.policy == expected
    assert (found.text is None) == (expected in (DEFAULT, OFF))
    assert is_of(found.sealed, found.reference)
    assert parsed(found.sealed) == expected


def in_force(policy: GuardrailPolicy) -> InForce:
    return InForce(policy, sealed(policy).reference, sealed(policy).text)


def test_the_grant_names_the_policy_that_goes_with_it():
    signed = Signer(KEY, PRINCIPAL, in_force(STRICT)).signed(Call(text="a"), "demo", "req-1")
    assert signed.grant is not None
    assert signed.guardrails is not None
    grant = verify(signed.grant, KEY, now=time.time())
    assert is_of(signed.guardrails, grant.guardrails)
    assert parsed(signed.guardrails) == STRICT


def test_what_a_call_brings_along_is_no_policy():
    brought = Call(text="a", guardrails=sealed(OFF).text)
    assert Signer(KEY, PRINCIPAL).signed(brought, "demo", "req-1").guardrails is None
    signed = Signer(KEY, PRINCIPAL, in_force(STRICT)).signed(brought, "demo", "req-1")
    assert parsed(signed.guardrails or "") == STRICT


def test_a_grpc_client_cannot_choose_its_policy():
    """Refused, or of no consequence: the gateway's own takes its place."""
    settings = GatewaySettings(governed=False, api_key="sk-unit")
    arrays = {
        "text_input": strings(["hello"]),
        "guardrails": single("STRING", sealed(OFF).text),
    }
    request: service_pb2.ModelInferRequest = infer_request("demo", arrays, "id-1")
    try:
        (call,) = ask_of(request, settings, is_unary=False).calls
    except ConchError:
        return
    assert Signer(KEY, PRINCIPAL).signed(call, "demo", "req-1").guardrails is None

"""What a request wants to take, and from whom; and what it is billed at every moment."""

from dataclasses import replace

import pytest

from gateway.ask import Ask
from gateway.bill import Bill, new_event_id
from gateway.estimates import Estimate
from gateway.metrics import Metrics
from gateway.reservation import reservation
from gateway.tally import Tally
from gateway.telemetry import Record
from serving.contract.calls import Call, Chunk, Usage
from serving.contract.errors import Forbidden
from serving.contract.permissions import Role, permissions_of
from serving.contract.policy import (
    FREE,
    Document,
    Limits,
    LogPrivacy,
    Model,
    Price,
    Project,
    Snapshot,
    Tenant,
    Version,
)
from serving.contract.principal import Principal
from serving.contract.quota import Scope
from serving.contract.usage import Status
from serving.identity.directory import Directory
from serving.identity.documents import change_of

METRICS = Metrics()
ASK = Ask("demo", (Call(text="hello"),), prompt_bytes=5, user="ann", session="s1")
ESTIMATE = Estimate(100, 500, is_guess=True)
PRICE = Price(input_nusd=10, cached_input_nusd=1, output_nusd=40)
LIMITS = Limits(requests_per_minute=60)
PRINCIPAL = Principal(
    "key:k1",
    "test",
    Role.SERVICE,
    permissions_of(Role.SERVICE),
    tenant="acme",
    project="acme/web",
    limits=LIMITS,
)
TENANT = Tenant("acme", "Acme")
PROJECT = Project("acme/web", "acme", "Web")


def a_directory(*documents: Document) -> Directory:
    changes = tuple(map(change_of, (TENANT, PROJECT, *documents)))
    return Directory.of(Snapshot(Version("e", 1), changes))


def a_record() -> Record:
    return Record(METRICS, "chat", "req_1")


def wanted(*documents: Document):
    return reservation(a_directory(*documents), PRINCIPAL, ASK, a_record(), ESTIMATE)


def test_a_free_request_counts_only_where_there_is_a_limit():
    assert wanted().scopes == (Scope("key:k1", LIMITS),)


def test_a_request_that_costs_counts_wherever_a_budget_may_come():
    names = [scope.name for scope in wanted(Model("demo", PRICE)).scopes]
    assert names == ["key:k1", "project:acme/web", "tenant"]


def test_what_a_tenant_may_use_of_a_model_is_a_scope_of_its_own():
    tenant = replace(TENANT, model_limits={"demo": LIMITS, "other": LIMITS})
    assert wanted(tenant).scopes[1:] == (Scope("model:demo", LIMITS),)


def test_limits_of_a_model_over_all_tenants_are_apart():
    assert wanted().model_limits is None
    assert wanted(Model("demo", limits=LIMITS)).model_limits == LIMITS


def test_it_may_cost_what_its_longest_answer_would():
    assert wanted(Model("demo", PRICE)).cost_nusd == 100 * 10 + 500 * 40
    assert wanted().price == FREE


def test_an_adapter_costs_what_it_costs_itself_and_counts_as_its_model():
    dear = Price(input_nusd=70, output_nusd=80)
    model = Model("demo", PRICE, {"pirate": dear, "gift": FREE}, LIMITS)
    made = {
        name: reservation(
            a_directory(model), PRINCIPAL, replace(ASK, adapter=name), a_record(), ESTIMATE
        )
        for name in (None, "pirate", "terse", "gift")
    }
    prices = {name: each.price for name, each in made.items()}
    assert prices == {None: PRICE, "pirate": dear, "terse": PRICE, "gift": FREE}
    for name, each in made.items():
        assert (each.event.model, each.event.adapter) == ("demo", name)
        assert each.model_limits == LIMITS
    assert [scope.name for scope in made["gift"].scopes] == ["key:k1"]


def test_a_guess_fits_into_every_limit():
    model = Model("demo", limits=Limits(output_tokens_per_minute=60))
    assert wanted(model).output_tokens == 60


def test_its_event_is_lost_unless_it_is_told_otherwise():
    event = wanted().event
    assert (event.status, event.prompt_tokens, event.cost_nusd) == (Status.LOST, 0, 0)
    assert (event.user, event.session, event.endpoint) == ("ann", "s1", "chat")


def test_a_private_project_keeps_no_word_of_who_asked():
    event = wanted(replace(PROJECT, log_privacy=LogPrivacy.NONE)).event
    assert (event.user, event.session) == (None, None)


@pytest.mark.parametrize(
    "bound",
    [
        {"tenant": None, "project": None},
        {"project": None},
        {"project": "acme/gone"},
        {"tenant": "rival"},
    ],
)
def test_who_is_bound_to_no_project_of_its_tenant_cannot_ask(bound):
    directory = a_directory(Tenant("rival", "Rival"))
    with pytest.raises(Forbidden):
        reservation(directory, replace(PRINCIPAL, **bound), ASK, a_record(), ESTIMATE)


def a_bill(record: Record) -> Bill:
    return Bill(wanted().event, PRICE, ESTIMATE, record)


def test_what_was_counted_is_billed():
    record = a_record()
    record.tally = Tally()
    record.tally.add(Chunk(usage=Usage(90, 7, cached_tokens=60)))
    event = a_bill(record).ended(Status.CANCELLED, "cancelled")
    assert (event.prompt_tokens, event.cached_tokens, event.completion_tokens) == (90, 60, 7)
    assert event.cost_nusd == 30 * 10 + 60 * 1 + 7 * 40
    assert event.latency_ms is not None
    assert (event.status, event.reason, event.ttft_ms) == (Status.CANCELLED, "cancelled", None)


def test_nothing_is_billed_of_what_never_began():
    event = a_bill(a_record()).ended(Status.FAILED, "unavailable")
    assert (event.prompt_tokens, event.completion_tokens, event.cost_nusd) == (0, 0, 0)


def test_tokens_that_flowed_uncounted_are_estimated():
    record = a_record()
    record.first_token_s = 0.25
    event = a_bill(record).so_far()
    assert (event.status, event.ttft_ms) == (Status.LOST, 250)
    assert (event.prompt_tokens, event.completion_tokens) == (100, 1)


def test_a_refused_request_has_used_nothing():
    event = a_bill(a_record()).refused("quota_tokens")
    assert (event.status, event.reason) == (Status.REFUSED, "quota_tokens")
    assert event.prompt_tokens == event.cost_nusd == 0


def test_ids_of_events_are_unique_and_in_the_order_of_time():
    ids = [new_event_id(now / 1e3) for now in range(1_800_000_000_000, 1_800_000_000_100)]
    assert ids == sorted(set(ids))

"""What an answer out of the cache costs, and whose quota it takes from."""

from dataclasses import replace

from gateway.bill import Bill
from gateway.estimates import Estimate
from gateway.metrics import Metrics
from gateway.telemetry import Record
from serving.adapters import quota_keys
from serving.adapters.quota_scripts import settle
from serving.contract.cache import CacheOutcome
from serving.contract.calls import Chunk, FinishReason, Usage
from serving.contract.policy import Price
from serving.contract.usage import Status, UsageEvent

EVENT = UsageEvent("e", "r", 0.0, "acme", "acme/web", "key:k", "chat", "demo", Status.LOST)
LAST = Chunk(text="a", finish_reason=FinishReason.STOP, usage=Usage(30, 20, 8))


def ended(outcome: CacheOutcome | None, status: Status = Status.OK) -> UsageEvent:
    record = Record(Metrics(), "chat", "r")
    if outcome is not None:
        record.answered_from_cache(outcome, 3.7)
    record.routed("demo")
    record.saw(LAST)
    return Bill(EVENT, Price(10, 1, 100), Estimate(40, 50, is_guess=False), record).ended(
        status, None
    )


def test_a_hit_costs_nothing_and_tells_its_tokens():
    hit = ended(CacheOutcome.HIT)
    assert (hit.cache, hit.status, hit.cost_nusd) == ("hit", Status.OK, 0)
    assert (hit.prompt_tokens, hit.cached_tokens, hit.completion_tokens) == (30, 30, 20)


def test_an_answer_that_had_to_be_made_is_billed_as_ever():
    for outcome in (None, CacheOutcome.MISS, CacheOutcome.BYPASS):
        event = ended(outcome)
        assert event.cache is None
        assert (event.cached_tokens, event.cost_nusd) == (8, 22 * 10 + 8 * 1 + 20 * 100)


def test_who_leaves_a_hit_early_owes_nothing():
    assert ended(CacheOutcome.HIT, Status.CANCELLED).cost_nusd == 0


def test_tokens_of_a_hit_count_for_no_quota():
    def taken(event: UsageEvent) -> tuple[object, ...]:
        keys = quota_keys.of_tenant(event)
        return settle(keys, event, b"").words[-4:-1]

    hit = ended(CacheOutcome.HIT)
    assert taken(hit) == (0, 0, 0)
    assert taken(replace(hit, cache=None)) == (30, 20, 0)


def test_headers_tell_the_outcome_and_the_age():
    record = Record(Metrics(), "chat", "r")
    record.answered_from_cache(CacheOutcome.HIT, 3.7)
    assert record.headers == [(b"x-conch-cache", b"hit"), (b"age", b"3")]
    other = Record(Metrics(), "chat", "r")
    other.answered_from_cache(CacheOutcome.MISS)
    assert other.headers == [(b"x-conch-cache", b"miss")]

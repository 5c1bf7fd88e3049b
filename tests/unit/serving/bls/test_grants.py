"""A grant opens one request of one model, once and for a short time; without one little is open."""

from dataclasses import replace

import pytest

from serving.bls.grants import LONGEST_LIFETIME_S, Gate
from serving.contract.errors import BadGrant, QueueFull
from serving.contract.grant import Grant, anonymous, sign

KEY = b"k" * 32
NOW = 1_000_000.0
GRANT = Grant("r-1", "demo", "team", expires_at=NOW + 30, project="team/app", adapters=("a",))


class Clock:
    now_s = NOW

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def gate(clock):
    return Gate("demo", KEY, clock, max_remembered=2)


def test_a_good_grant_is_in_force(gate):
    assert gate.check(sign(GRANT, KEY), "r-1") == GRANT


def test_without_one_the_defaults_are(gate):
    grant = gate.check(None, "r-1")
    assert grant == anonymous("r-1", "demo")
    assert (grant.tenant, grant.class_ceiling, grant.can_control) == (
        "anonymous",
        "standard",
        False,
    )
    assert (grant.adapters, grant.tools) == ((), ())


REFUSED = {
    "forged": (sign(GRANT, b"x" * 32), "signature"),
    "empty": ("", "signature"),
    "no ASCII": ("ü.ü", "signature"),
    "expired": (sign(replace(GRANT, expires_at=NOW), KEY), "expired"),
    "long-lived": (sign(replace(GRANT, expires_at=NOW + 9e9), KEY), "longer"),
    "for another model": (sign(replace(GRANT, model="large"), KEY), "another model"),
    "for another request": (sign(replace(GRANT, request_id="r-2"), KEY), "another request"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_another_one_is_refused(gate, name):
    text, reason = REFUSED[name]
    with pytest.raises(BadGrant, match=reason):
        gate.check(text, "r-1")
    assert gate.check(sign(GRANT, KEY), "r-1") == GRANT  # a refusal uses nothing up


def test_one_whose_words_were_changed_is_refused(gate):
    _, _, signature = sign(GRANT, KEY).partition(".")
    payload, _, _ = sign(replace(GRANT, can_control=True), KEY).partition(".")
    with pytest.raises(BadGrant, match="signature"):
        gate.check(f"{payload}.{signature}", "r-1")


def test_it_opens_once(gate, clock):
    gate.check(sign(GRANT, KEY), "r-1")
    for _ in range(2):
        with pytest.raises(BadGrant, match="used before"):
            gate.check(sign(GRANT, KEY), "r-1")
    clock.now_s = GRANT.expires_at
    with pytest.raises(BadGrant, match="expired"):
        gate.check(sign(GRANT, KEY), "r-1")


def test_what_has_expired_is_forgotten(gate, clock):
    for number in range(10):
        grant = replace(GRANT, request_id=f"r-{number}", expires_at=clock.now_s + 10)
        assert gate.check(sign(grant, KEY), grant.request_id) == grant
        clock.now_s += 6
    assert len(gate._used) == len(gate._by_expiry) == 2


def test_as_many_as_can_be_remembered_may_be_in_use(gate):
    for number in range(2):
        grant = replace(GRANT, request_id=f"r-{number}")
        gate.check(sign(grant, KEY), grant.request_id)
    with pytest.raises(QueueFull):
        gate.check(sign(replace(GRANT, request_id="r-9"), KEY), "r-9")


def test_the_longest_lifetime_is_enough_for_clocks_that_differ(gate):
    grant = replace(GRANT, expires_at=NOW + LONGEST_LIFETIME_S)
    assert gate.check(sign(grant, KEY), "r-1") == grant


def test_without_a_key_a_grant_cannot_be_checked():
    gate = Gate("demo", None)
    with pytest.raises(BadGrant, match="CONCH_GRANT_KEY_FILE"):
        gate.check(sign(GRANT, KEY), "r-1")
    assert gate.check(None, "r-1").tenant == "anonymous"

"""What may be handed on: never more than there is, in any respect."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.authority import Authority, excess, of_key, of_user
from serving.contract.permissions import ROLE_PERMISSIONS, Permission, Role, permissions_of
from serving.contract.policy import Key, Limits, User

OWNER = Authority(Role.OWNER, frozenset(Permission))
SERVICE = Authority(Role.SERVICE, permissions_of(Role.SERVICE))

names = st.none() | st.lists(st.sampled_from("abc"), max_size=2).map(tuple)
numbers = st.none() | st.integers(1, 3)
cidrs = st.sampled_from(
    ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "0.0.0.0/0", "::/0", "::1/128"]
)
authorities = st.builds(
    lambda role, scopes, **more: Authority(role, permissions_of(role, scopes), **more),
    st.sampled_from(Role),
    st.none() | st.sets(st.sampled_from(Permission), max_size=3),
    tenant=st.sampled_from([None, "a", "b"]),
    project=st.sampled_from([None, "a/x", "a/y"]),
    models=names,
    adapters=names,
    classes=names,
    tools=names,
    cidrs=st.none() | st.lists(cidrs, max_size=2).map(tuple),
    expires_at=st.none() | st.floats(1, 3),
    limits=st.builds(
        Limits,
        requests_per_minute=numbers,
        budget_nusd=numbers,
        concurrent_requests=numbers,
        burst_s=st.integers(1, 3),
    ),
)


def may_grant(actor, wanted):
    return not any(excess(actor, wanted))


@given(authorities)
def test_everybody_may_grant_what_they_are(one):
    assert may_grant(one, one)


@given(authorities)
def test_an_unbound_owner_may_grant_anything(one):
    assert may_grant(OWNER, one)


@given(authorities, authorities, authorities)
def test_what_is_granted_on_and_on_never_grows(first, second, third):
    if may_grant(first, second) and may_grant(second, third):
        assert may_grant(first, third)


@given(authorities, st.sampled_from([f.name for f in fields(Authority) if f.name not in
                                     ("role", "permissions", "limits")]))  # fmt: skip
def test_whoever_is_bound_cannot_grant_what_is_not(one, name):
    if getattr(one, name) is not None:
        assert name in set(excess(one, replace(one, **{name: None})))


@given(authorities, st.sampled_from(["requests_per_minute", "budget_nusd", "concurrent_requests"]))
def test_whoever_is_limited_cannot_grant_what_is_not(one, name):
    if getattr(one.limits, name) is not None:
        limits = replace(one.limits, **{name: None})
        assert f"limits.{name}" in set(excess(one, replace(one, limits=limits)))


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("wanted", Role)
def test_a_role_is_granted_by_who_has_all_it_may_do(role, wanted):
    actor = Authority(role, permissions_of(role))
    is_within = ROLE_PERMISSIONS[wanted] <= ROLE_PERMISSIONS[role]
    assert may_grant(actor, Authority(wanted, permissions_of(wanted))) == is_within


def test_a_higher_role_with_few_scopes_is_a_higher_role():
    wanted = Authority(Role.OWNER, permissions_of(Role.OWNER, ["inference"]))
    admin = Authority(Role.ADMIN, permissions_of(Role.ADMIN))
    assert list(excess(admin, wanted)) == ["role"]


def test_a_narrowed_key_cannot_grant_its_whole_role():
    narrowed = Authority(Role.SERVICE, permissions_of(Role.SERVICE, ["inference"]))
    assert list(excess(narrowed, SERVICE)) == ["scopes"]


@pytest.mark.parametrize(
    ("mine", "wanted", "is_within"),
    [
        (("10.0.0.0/8",), ("10.1.0.0/16", "10.2.3.4/32"), True),
        (("10.0.0.0/9", "10.128.0.0/9"), ("10.0.0.0/8",), True),
        (("10.1.0.0/16",), ("10.0.0.0/8",), False),
        (("0.0.0.0/0",), ("::1/128",), False),
        ((), ("10.0.0.0/8",), False),
        (("10.0.0.0/8",), (), True),
    ],
)
def test_ranges_are_within_ranges(mine, wanted, is_within):
    assert may_grant(replace(SERVICE, cidrs=mine), replace(SERVICE, cidrs=wanted)) == is_within


def test_a_soft_budget_is_no_bound_and_a_longer_burst_is_more():
    mine = replace(SERVICE, limits=Limits(requests_per_minute=5, soft_budget_nusd=1))
    assert may_grant(mine, replace(SERVICE, limits=Limits(requests_per_minute=5)))
    longer = replace(SERVICE, limits=Limits(requests_per_minute=5, burst_s=61))
    assert list(excess(mine, longer)) == ["limits.burst_s"]
    assert may_grant(SERVICE, longer)


def test_keys_and_people_may_do_what_their_documents_say():
    key = Key("k", "k", Role.ADMIN, (), tenant="a", scopes=("keys:read",), cidrs=("::/0",))
    assert of_key(key) == Authority(
        Role.ADMIN, frozenset({Permission.KEYS_READ}), tenant="a", cidrs=("::/0",)
    )
    user = User("u", "i", "s", "e", Role.VIEWER, tenant="a", project="a/x")
    assert of_user(user) == Authority(
        Role.VIEWER, permissions_of(Role.VIEWER), tenant="a", project="a/x"
    )

"""Who stands behind a connection, and what one address may hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.contract.errors import AddressLimited
from serving.identity.addresses import (
    MOST_HOPS,
    AddressLoad,
    client_address,
    group_of,
    is_within,
    networks_of,
)

PROXIES = networks_of("10.0.0.0/8, fd00::/8")


def test_networks_are_read_with_or_without_prefix() -> None:
    found = [str(network) for network in networks_of(" 10.0.0.1/8,, ::1 ,192.0.2.7")]
    assert found == ["10.0.0.0/8", "::1/128", "192.0.2.7/32"]
    assert networks_of("") == ()


@pytest.mark.parametrize("text", ["10.0.0.0/33", "localhost", "10.0.0.0/8;::1"])
def test_what_is_no_network_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=text.partition("/")[0]):
        networks_of(text)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        # Not from a proxy of ours: what it says counts for nothing.
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
        # Through two of ours, in one header or in several.
        ("10.0.0.1", ["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1", "10.0.0.2"], "198.51.100.1"),
        # What a client wrote itself stands to the left of its address.
        ("10.0.0.1", ["127.0.0.1, 1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["127.0.0.1, 10.9.9.9, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
        (None, ["198.51.100.1"], None),
    ],
)
def test_the_client_is_the_first_that_no_proxy_of_ours_is(peer, forwarded, client) -> None:
    assert client_address(peer, forwarded, PROXIES) == client


def test_without_trusted_proxies_the_peer_is_the_client() -> None:
    assert client_address("127.0.0.1", ["198.51.100.1"], ()) == "127.0.0.1"


def test_a_long_header_is_not_read_to_its_beginning() -> None:
    hops = ", ".join(["198.51.100.1", *["10.0.0.2"] * 1000])
    assert client_address("10.0.0.1", [hops], PROXIES) == "10.0.0.2"
    hops = ", ".join(["198.51.100.1", *["10.0.0.2"] * (MOST_HOPS - 1)])
    assert client_address("10.0.0.1", [hops], PROXIES) == "198.51.100.1"


@given(st.lists(st.text(max_size=40), max_size=5))
def test_no_header_can_make_a_client_of_a_peer_that_is_not_trusted(forwarded: list[str]) -> None:
    assert client_address("203.0.113.9", forwarded, PROXIES) == "203.0.113.9"


@given(st.lists(st.text(alphabet="0123456789abcdef.:[], ", max_size=60), max_size=4))
def test_any_header_gives_an_address(forwarded: list[str]) -> None:
    client = client_address("10.0.0.1", forwarded, PROXIES)
    assert client is not None
    assert group_of(client)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:0db8:0:0:ffff::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("testclient", "testclient", True),
    ],
)
def test_an_ipv6_site_is_one_address(one: str, other: str, is_same: bool) -> None:
    assert (group_of(one) == group_of(other)) is is_same


def test_nothing_is_within_no_networks() -> None:
    assert not is_within("192.0.2.1", ())
    assert not is_within(None, networks_of("0.0.0.0/0"))
    assert not is_within("no address", networks_of("0.0.0.0/0,::/0"))


def load() -> AddressLoad:
    return AddressLoad(connections=2, body_bytes=100, exempt=PROXIES)


def test_an_address_has_so_many_connections_and_no_more() -> None:
    held = load()
    held.connected("192.0.2.1")
    held.connected("::ffff:192.0.2.1")
    with pytest.raises(AddressLimited, match="2 connections") as refused:
        held.connected("192.0.2.1")
    assert refused.value.retry_after_s == 1
    held.connected("192.0.2.2")
    held.disconnected("192.0.2.1")
    held.connected("192.0.2.1")


def test_an_address_sends_so_many_bytes_at_a_time() -> None:
    held = load()
    held.took("192.0.2.1", 60)
    held.took("192.0.2.1", 40)
    with pytest.raises(AddressLimited, match="100 bytes"):
        held.took("192.0.2.1", 1)
    held.released("192.0.2.1", 60)
    held.took("192.0.2.1", 60)


def test_proxies_have_as_many_connections_as_they_like() -> None:
    held = load()
    for _ in range(10):
        held.connected("10.0.0.1")


def test_what_holds_nothing_is_not_remembered() -> None:
    held = load()
    for number in range(100):
        held.connected(f"192.0.2.{number}")
        held.took(f"198.51.100.{number}", 5)
    assert len(held) == 200
    for number in range(100):
        held.disconnected(f"192.0.2.{number}")
        held.released(f"198.51.100.{number}", 5)
    assert len(held) == 0


def test_without_an_address_or_a_limit_nothing_is_held_against_anybody() -> None:
    unlimited = AddressLoad(connections=None, body_bytes=None)
    for address in (None, "192.0.2.1"):
        for _ in range(1000):
            unlimited.connected(address)
            unlimited.took(address, 10**9)
    held = load()
    held.connected(None)
    held.took(None, 10**9)
    held.released(None, 10**9)
    held.disconnected(None)

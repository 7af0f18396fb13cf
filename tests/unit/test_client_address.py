"""Where a request comes from, when proxies say so, and when anybody does."""

from ipaddress import IPv6Address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.api.client_address import client, network_of

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def scope(peer: str | None, *forwarded: str) -> Any:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return {"client": None if peer is None else (peer, 1234), "headers": headers}


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("192.0.2.1", (), "192.0.2.1"),
        ("192.0.2.1", ("198.51.100.1",), "192.0.2.1"),
        ("10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("203.0.113.9, 198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("203.0.113.9, 198.51.100.1, 10.0.0.2",), "198.51.100.1"),
        ("10.0.0.1", ("203.0.113.9", "198.51.100.1"), "198.51.100.1"),
        ("10.0.0.1", ("nonsense",), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.1, nonsense",), "10.0.0.1"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("fd00::1", ("2001:db8::5",), "2001:db8::5"),
        ("::ffff:10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        (None, ("198.51.100.1",), ""),
    ],
)
def test_only_trusted_proxies_are_believed(peer: str | None, forwarded: tuple[str, ...], found: str) -> None:
    assert client(scope(peer, *forwarded), PROXIES) == found


@given(st.ip_addresses(v=4).map(str), st.text(st.characters(max_codepoint=255), max_size=200))
def test_nobody_is_believed_by_default(peer: str, forwarded: str) -> None:
    assert client(scope(peer, forwarded), ()) == peer


@given(st.integers(2**126, 2**128 - 1).map(IPv6Address))
def test_a_network_of_64_bits_counts_as_one(address: IPv6Address) -> None:
    neighbour = IPv6Address(int(address) ^ 1)
    assert network_of(str(address)) == network_of(str(neighbour))


def test_an_ipv4_address_counts_by_itself() -> None:
    assert network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert network_of("") == ""

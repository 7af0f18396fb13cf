"""Where a request comes from: the peer's address, or, behind proxies that are named in a setting, what they say.

`X-Forwarded-For` is believed from the right as far as each hop is a trusted proxy, and from nobody else: anyone can
write that header. Limits count an IPv6 network of 64 bits as one, since whoever has one address has them all.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

from fastapi import Request

IPV6_PREFIX_BITS: Final = 64
FORWARDED_MAX: Final = 20
"""Addresses that are looked at in one X-Forwarded-For, from the right."""

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]


def parse(text: str) -> Address | None:
    """An address, one that is mapped into IPv6 as the IPv4 address that it is; None for what is none."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def client(scope: Any, trusted: Networks) -> str:
    """The address of whoever called; "" where there is none, as on a socket of the file system."""
    peer = parse(scope["client"][0]) if scope.get("client") else None
    forwarded = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
    hops = forwarded.decode("latin-1").split(",")[-FORWARDED_MAX:]
    while peer is not None and hops and any(peer in network for network in trusted):
        before = parse(hops.pop())
        if before is None:
            break
        peer = before
    return "" if peer is None else str(peer)


def network_of(address: str) -> str:
    """What limits count as one."""
    found = parse(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, IPV6_PREFIX_BITS), strict=False))
    return "" if found is None else str(found)


def address(request: Request) -> str:
    return client(request.scope, request.app.state.trusted_proxies)


def network(request: Request) -> str:
    return network_of(address(request))

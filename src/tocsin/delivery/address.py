"""Which addresses a notification may be sent to: a table of networks, each with the reason of its refusal. Pure.

The rule: IPv4 by the table; IPv6 only inside 2000::/3 and not in the table's parts of it, where every form that embeds
an IPv4 address lies. Python's own `is_global` is not enough: it passes NAT64, 6to4 and multicast. Networks that the
operator allows win over the table, also for an IPv4 address in IPv4-mapped form.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


class Refused(StrEnum):
    """Why an address or a URL is refused. The names are shown in the API and label metrics."""

    THIS_NETWORK = "this_network"
    PRIVATE = "private"
    SHARED = "shared"
    LOOPBACK = "loopback"
    METADATA = "metadata"
    LINK_LOCAL = "link_local"
    IETF = "ietf_protocol"
    DOCUMENTATION = "documentation"
    RELAY_6TO4 = "6to4_relay"
    BENCHMARK = "benchmark"
    MULTICAST = "multicast"
    RESERVED = "reserved"
    NOT_GLOBAL = "not_global_unicast"
    IPV4_MAPPED = "ipv4_mapped"
    IPV4_COMPATIBLE = "ipv4_compatible"
    NAT64 = "nat64"
    SIX_TO_FOUR = "6to4"
    UNIQUE_LOCAL = "unique_local"
    ZONE = "zone"
    NO_ADDRESS = "no_address"
    MALFORMED = "malformed"
    SCHEME = "scheme"
    USER_INFO = "user_info"
    FRAGMENT = "fragment"
    HOST = "host"
    PORT = "port"


REASON: Final[dict[Refused, str]] = {
    Refused.THIS_NETWORK: "the address means this network (0.0.0.0/8)",
    Refused.PRIVATE: "the address is private (RFC 1918)",
    Refused.SHARED: "the address is shared by carriers (RFC 6598)",
    Refused.LOOPBACK: "the address is this machine's own (loopback)",
    Refused.METADATA: "the address serves a cloud's metadata",
    Refused.LINK_LOCAL: "the address is link-local",
    Refused.IETF: "the address is kept for protocols (RFC 6890)",
    Refused.DOCUMENTATION: "the address is kept for documentation",
    Refused.RELAY_6TO4: "the address is of 6to4 relays",
    Refused.BENCHMARK: "the address is kept for benchmarks",
    Refused.MULTICAST: "the address is multicast",
    Refused.RESERVED: "the address is reserved",
    Refused.NOT_GLOBAL: "the address is not global unicast (2000::/3)",
    Refused.IPV4_MAPPED: "the address holds an IPv4 address (mapped)",
    Refused.IPV4_COMPATIBLE: "the address holds an IPv4 address (compatible)",
    Refused.NAT64: "the address holds an IPv4 address (NAT64)",
    Refused.SIX_TO_FOUR: "the address holds an IPv4 address (6to4)",
    Refused.UNIQUE_LOCAL: "the address is unique local (RFC 4193)",
    Refused.ZONE: "the address has a zone",
    Refused.NO_ADDRESS: "the name has no address",
    Refused.MALFORMED: "this is not a URL",
    Refused.SCHEME: "only http and https are sent to",
    Refused.USER_INFO: "a URL with a user or password is not sent to",
    Refused.FRAGMENT: "a URL with a fragment is not sent to",
    Refused.HOST: "this is not a host that is sent to",
    Refused.PORT: "this port is not sent to",
}

IPV4: Final[tuple[tuple[IPv4Network, Refused], ...]] = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", Refused.THIS_NETWORK),
        ("10.0.0.0/8", Refused.PRIVATE),
        ("100.64.0.0/10", Refused.SHARED),
        ("127.0.0.0/8", Refused.LOOPBACK),
        ("168.63.129.16/32", Refused.METADATA),
        ("169.254.0.0/16", Refused.LINK_LOCAL),
        ("172.16.0.0/12", Refused.PRIVATE),
        ("192.0.0.0/24", Refused.IETF),
        ("192.0.2.0/24", Refused.DOCUMENTATION),
        ("192.88.99.0/24", Refused.RELAY_6TO4),
        ("192.168.0.0/16", Refused.PRIVATE),
        ("198.18.0.0/15", Refused.BENCHMARK),
        ("198.51.100.0/24", Refused.DOCUMENTATION),
        ("203.0.113.0/24", Refused.DOCUMENTATION),
        ("224.0.0.0/4", Refused.MULTICAST),
        ("240.0.0.0/4", Refused.RESERVED),
    )
)

GLOBAL_UNICAST: Final = IPv6Network("2000::/3")

IPV6: Final[tuple[tuple[IPv6Network, Refused], ...]] = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("2001::/23", Refused.IETF),  # Teredo, ORCHID, AMT, … among them
        ("2001:db8::/32", Refused.DOCUMENTATION),
        ("2002::/16", Refused.SIX_TO_FOUR),
        ("3fff::/20", Refused.DOCUMENTATION),
        # outside 2000::/3: refused in any case, named for whoever reads the refusal
        ("::1/128", Refused.LOOPBACK),
        ("::/128", Refused.THIS_NETWORK),
        ("::ffff:0:0/96", Refused.IPV4_MAPPED),
        ("::/96", Refused.IPV4_COMPATIBLE),
        ("64:ff9b::/96", Refused.NAT64),
        ("64:ff9b:1::/48", Refused.NAT64),
        ("fe80::/10", Refused.LINK_LOCAL),
        ("fc00::/7", Refused.UNIQUE_LOCAL),
        ("ff00::/8", Refused.MULTICAST),
    )
)


def refusal(address: Address, allowed: Sequence[Network] = ()) -> Refused | None:
    """Why nothing may be sent to the address; None: it may. `allowed` networks win."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return Refused.ZONE
        if address.ipv4_mapped is not None and _in(address.ipv4_mapped, allowed):
            return None
    if _in(address, allowed):
        return None
    return _refusal_v4(address) if isinstance(address, IPv4Address) else _refusal_v6(address)


def vet(addresses: Iterable[Address], allowed: Sequence[Network] = ()) -> Refused | None:
    """Why a name with these addresses is refused: every one must pass, and there must be one."""
    none = True
    for address in addresses:
        none = False
        refused = refusal(address, allowed)
        if refused is not None:
            return refused
    return Refused.NO_ADDRESS if none else None


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks in CIDR form. Raises ValueError."""
    return tuple(ip_network(text) for text in texts)


def _in(address: Address, nets: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in nets)


def _refusal_v4(address: IPv4Address) -> Refused | None:
    for network, reason in IPV4:
        if address in network:
            return reason
    return None


def _refusal_v6(address: IPv6Address) -> Refused | None:
    for network, reason in IPV6:
        if address in network:
            return reason
    return None if address in GLOBAL_UNICAST else Refused.NOT_GLOBAL

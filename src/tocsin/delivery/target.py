"""A payloadUrl, parsed once: what was parsed is what is used. Pure.

Anything that two parsers could read differently is refused: white space, control characters, backslashes, user info,
fragments, IPv4 addresses in other than four plain decimal numbers, names that end in a number or a dot.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final
from urllib.parse import quote

import idna

from tocsin.delivery.address import REASON, Address, Refused

URL_MAX_CHARACTERS: Final = 2048
NAME_MAX_CHARACTERS: Final = 253
PORTS: Final = {"http": 80, "https": 443}

SERVICE_PORTS: Final[dict[int, str]] = {
    1433: "SQL Server",
    1521: "Oracle",
    2049: "NFS",
    2375: "Docker",
    2376: "Docker",
    2379: "etcd",
    2380: "etcd",
    3306: "MySQL",
    3389: "remote desktop",
    4369: "Erlang",
    5432: "PostgreSQL",
    5672: "AMQP",
    5984: "CouchDB",
    6379: "Redis",
    6443: "Kubernetes",
    8500: "Consul",
    9042: "Cassandra",
    9092: "Kafka",
    9200: "Elasticsearch",
    9300: "Elasticsearch",
    10250: "Kubernetes",
    11211: "memcached",
    27017: "MongoDB",
}
"""Ports from 1024 up that are not sent to: they speak to what should not be spoken to."""

HOSTS_MAX: Final = 4096
"""Hosts whose parsing is remembered."""
_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>[^#]*)(?P<fragment>#.*)?"
)
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\^`{|}<>\"\u2028\u2029\ufeff\ud800-\udfff]")
_NUMBER: Final = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)")
_DOTTED_QUAD: Final = re.compile(r"(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})", re.ASCII)
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


class RefusedUrl(Exception):
    """The URL is not sent to; `refused` names the reason, the text says it."""

    def __init__(self, refused: Refused, detail: str = "") -> None:
        super().__init__(f"{REASON[refused]}{': ' + detail if detail else ''}")
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Target:
    """`url` is the whole, normalised. `address` is set where the host is an IP address."""

    url: str
    scheme: str
    host: str
    """ASCII, lower case; an IPv6 address without brackets."""
    port: int
    request_target: bytes
    """Path and query as they go on the wire; never empty."""
    host_header: bytes
    address: Address | None


def parse(url: str) -> Target:
    """The target that a URL names. Raises RefusedUrl."""
    if len(url) > URL_MAX_CHARACTERS:
        raise RefusedUrl(Refused.MALFORMED, f"longer than {URL_MAX_CHARACTERS} characters")
    if _FORBIDDEN.search(url):
        raise RefusedUrl(Refused.MALFORMED, "it holds a character that a URL can't hold")
    match = _URL.fullmatch(url)
    if match is None:
        raise RefusedUrl(Refused.MALFORMED)
    scheme = match["scheme"].lower()
    if scheme not in PORTS:
        raise RefusedUrl(Refused.SCHEME)
    if match["fragment"] is not None:
        raise RefusedUrl(Refused.FRAGMENT)
    if "@" in match["authority"]:
        raise RefusedUrl(Refused.USER_INFO)
    host, port, address = _authority(match["authority"], scheme)
    return _target(scheme, host, port, address, match["rest"])


def _target(scheme: str, host: str, port: int, address: Address | None, rest: str) -> Target:
    if _ESCAPE.search(rest):
        raise RefusedUrl(Refused.MALFORMED, "a % is not followed by two hexadecimal digits")
    path = quote(rest if rest.startswith("/") else f"/{rest}", safe="/?%:@!$&'()*+,;=~[]")
    shown = f"[{host}]" if isinstance(address, IPv6Address) else host
    authority = shown if port == PORTS[scheme] else f"{shown}:{port}"
    url = f"{scheme}://{authority}{path}"
    return Target(url, scheme, host, port, path.encode("ascii"), authority.encode("ascii"), address)


@lru_cache(HOSTS_MAX)
def _authority(authority: str, scheme: str) -> tuple[str, int, Address | None]:
    if authority.startswith("["):
        inside, closed, after = authority[1:].partition("]")
        if not closed or (after and not after.startswith(":")):
            raise RefusedUrl(Refused.HOST)
        address: Address | None = _ipv6(inside)
        return str(address), _port(after[1:] if after else None, scheme), address
    host, colon, port = authority.partition(":")
    name, address = _name(host)
    return name, _port(port if colon else None, scheme), address


def _ipv6(text: str) -> IPv6Address:
    if "%" in text:
        raise RefusedUrl(Refused.ZONE)
    try:
        return IPv6Address(text)
    except AddressValueError:
        raise RefusedUrl(Refused.HOST, "not an IPv6 address") from None


def _port(text: str | None, scheme: str) -> int:
    if text is None:
        return PORTS[scheme]
    if not text.isascii() or not text.isdigit() or len(text) > 5:
        raise RefusedUrl(Refused.PORT, "a port is a number")
    port = int(text)
    if port in SERVICE_PORTS:
        raise RefusedUrl(Refused.PORT, f"it is {SERVICE_PORTS[port]}'s")
    if port not in PORTS.values() and not 1024 <= port <= 65535:
        raise RefusedUrl(Refused.PORT, "80, 443 and 1024 to 65535 are")
    return port


def _name(host: str) -> tuple[str, IPv4Address | None]:
    """The host in ASCII, and its address where it is one."""
    if not host or "%" in host:
        raise RefusedUrl(Refused.HOST, "there is none" if not host else "it is percent-encoded")
    if not host.isascii() and any(character.isnumeric() and not character.isascii() for character in host):
        raise RefusedUrl(Refused.HOST, "it has digits of another script")
    try:
        name = host.lower() if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise RefusedUrl(Refused.HOST, "not an internationalized name") from None
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1] or labels[-2:][0]):
        if not host.isascii():
            raise RefusedUrl(Refused.HOST, "an IPv4 address is written in ASCII")
        return name, _ipv4(name)
    if len(name) > NAME_MAX_CHARACTERS or not all(_LABEL.fullmatch(label) for label in labels):
        raise RefusedUrl(Refused.HOST, "not a name")
    return name, None


def _ipv4(name: str) -> IPv4Address:
    """Only four plain decimal numbers: other readers take 0177.1 or 2130706433 for addresses, too."""
    if not _DOTTED_QUAD.fullmatch(name):
        raise RefusedUrl(Refused.HOST, "an IPv4 address is four decimal numbers")
    try:
        return IPv4Address(name)
    except AddressValueError:
        raise RefusedUrl(Refused.HOST, "not an IPv4 address") from None

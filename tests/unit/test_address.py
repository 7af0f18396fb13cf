"""Addresses and URLs that nothing is sent to: each range, its neighbours, and every way to write them."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tocsin.delivery.address import IPV4, IPV6, REASON, Refused, networks, refusal, vet
from tocsin.delivery.target import SERVICE_PORTS, RefusedUrl, parse

LOOPBACK = networks(["127.0.0.0/8", "::1/128"])
SLOW_V4 = [
    ip_network(text)
    for text in [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    ]
]
SLOW_V6 = [ip_network(text) for text in ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"]]


def slow(address: IPv4Address | IPv6Address) -> bool:
    """The rule in other words: whether it is refused."""
    if isinstance(address, IPv4Address):
        return any(address in network for network in SLOW_V4)
    return address not in ip_network("2000::/3") or any(address in network for network in SLOW_V6)


REFUSED_V4 = sorted({str(net[place]) for net, _ in IPV4 for place in (0, -1, net.num_addresses // 2)})
REFUSED_V6 = sorted({str(net[place]) for net, _ in IPV6 for place in (0, -1, net.num_addresses // 2)})
EMBEDDED = [
    form.format(first=int(one.packed.hex()[:4], 16), second=int(one.packed.hex()[4:], 16))
    for one in map(IPv4Address, ("127.0.0.1", "10.0.0.1", "169.254.169.254", "8.8.8.8"))
    for form in (
        "::ffff:{first:x}:{second:x}",
        "::{first:x}:{second:x}",
        "64:ff9b::{first:x}:{second:x}",
        "64:ff9b:1::{first:x}:{second:x}",
        "2002:{first:x}:{second:x}::",
        "2001:0:{first:x}:{second:x}::",
        "fe80::5efe:{first:x}:{second:x}",
    )
]


@pytest.mark.parametrize("text", REFUSED_V4 + REFUSED_V6 + EMBEDDED)
def test_an_address_in_the_table_is_refused(text: str) -> None:
    assert refusal(ip_address(text)) is not None


@pytest.mark.parametrize("network", [network for network, _ in IPV4], ids=str)
def test_the_first_neighbours_outside_a_range_are_judged_by_themselves(network: IPv4Network) -> None:
    first, last = int(network[0]), int(network[-1])
    for number in (first - 1, last + 1):
        if 0 <= number < 2**32:
            address = IPv4Address(number)
            assert (refusal(address) is not None) == slow(address)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("127.0.0.1", Refused.LOOPBACK),
        ("168.63.129.16", Refused.METADATA),
        ("169.254.169.254", Refused.LINK_LOCAL),
        ("100.64.0.1", Refused.SHARED),
        ("::1", Refused.LOOPBACK),
        ("::ffff:127.0.0.1", Refused.IPV4_MAPPED),
        ("64:ff9b::7f00:1", Refused.NAT64),
        ("2002:7f00:1::", Refused.SIX_TO_FOUR),
        ("2001::1", Refused.IETF),
        ("fe80::1", Refused.LINK_LOCAL),
        ("fe80::1%eth0", Refused.ZONE),
        ("fd00::1", Refused.UNIQUE_LOCAL),
        ("ff02::1", Refused.MULTICAST),
        ("4000::1", Refused.NOT_GLOBAL),
    ],
)
def test_a_refusal_names_its_reason(text: str, reason: Refused) -> None:
    assert refusal(ip_address(text)) is reason


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "9.255.255.255", "11.0.0.0", "168.63.129.15", "2606:4700::1", "2001:200::"]
)
def test_a_public_address_is_not_refused(text: str) -> None:
    assert refusal(ip_address(text)) is None


def test_an_allowed_network_wins_also_for_its_mapped_form() -> None:
    for text in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert refusal(ip_address(text), LOOPBACK) is None
    assert refusal(ip_address("10.0.0.1"), LOOPBACK) is Refused.PRIVATE


def test_one_bad_address_of_several_refuses_all() -> None:
    good, bad = ip_address("1.1.1.1"), ip_address("10.0.0.1")
    assert vet([good]) is None
    assert vet([good, bad]) is Refused.PRIVATE
    assert vet([]) is Refused.NO_ADDRESS


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_the_rule_for_ipv4_is_the_list(address: IPv4Address) -> None:
    assert (refusal(address) is not None) == slow(address)


@given(st.one_of(st.integers(0, 2**128 - 1), st.integers(0x2000 << 112, 0x3FFF_FFFF << 96)).map(IPv6Address))
def test_the_rule_for_ipv6_is_the_list(address: IPv6Address) -> None:
    assert (refusal(address) is not None) == slow(address)


def test_every_reason_has_its_words() -> None:
    assert set(REASON) == set(Refused)


HOSTS = [
    "2130706433 0x7f000001 017700000001 0x7f.1 0177.0.0.1 0177.1 127.1 127.0.1 0x7f.0.0.1 127.0.0.01 127.0.0.1. 1.2.3",
    "1.2.3.4.5 256.1.1.1 1.1.1.256 00.0.0.0 0x 0xffffffff 1.2.3.0x4 example.1 example.0x1 a.b.1. 4294967296",
    "99999999999 08.1.1.1 \uff11\uff12\uff17.0.0.1 127\u30020\u30020\u30021 \u2460.0.0.1",
    "127\uff0e0\uff0e0\uff0e1 \u0663.1.1.1",
    "example. example.. .example exa..mple -example.org example-.org exa%6dple.org %31%32%37.0.0.1 ",
    "exa_mple.org- *.example.org xn-- \u00ad.org \u200d.org " + "a" * 64 + ".org " + ".".join(["a" * 60] * 5),
]
URLS = [f"http://{host}/" for line in HOSTS for host in line.split()]
OTHERS = [
    "ftp://example.org",
    "gopher://example.org",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "//example.org",
    "example.org",
    "http:example.org",
    "http:/example.org",
    "http://",
    "http:///path",
    "http://?",
    "http://#",
    "https://",
    "ws://example.org",
    "data:text/plain,x",
    "http://user@example.org",
    "http://user:pass@example.org",
    "http://@example.org",
    "http://:@example.org",
    "http://a@b@c/",
    "http://example.org#fragment",
    "http://example.org/#",
    "http://example.org\\@127.0.0.1/",
    "http:\\\\example.org",
    "http://example.org\\path",
    "http://example.org:0",
    "http://example.org:1",
    "http://example.org:22",
    "http://example.org:25",
    "http://example.org:65536",
    "http://example.org:99999999999",
    "http://example.org:-1",
    "http://example.org:+80",
    "http://example.org:8o",
    "http://example.org:",
    "http://example.org:80:80",
    "http://example.org:0x50",
    "http://example.org:８０",
    "http://[::1",
    "http://::1/",
    "http://[::1]x/",
    "http://[::1]:22",
    "http://[::g]",
    "http://[]",
    "http://[127.0.0.1]",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[::1%25]/",
    "http://[v1.x]/",
    "http://example.org/%zz",
    "http://example.org/%",
    "http://example.org/a%2",
]
CONTROLS = [f"http://exam{chr(code)}ple.org/" for code in [*range(0x21), 0x7F, 0x85, 0xA0, 0x2028, 0xFEFF]]
PORTS = [f"http://example.org:{port}/" for port in SERVICE_PORTS]


@pytest.mark.parametrize(
    "url", [*URLS, *OTHERS, *CONTROLS, *PORTS, "http://example.org/" + "a" * 2048, "http://\ud800.org"]
)
def test_a_url_that_could_be_read_differently_is_refused(url: str) -> None:
    with pytest.raises(RefusedUrl) as raised:
        parse(url)
    assert raised.value.refused in Refused


def test_the_forms_that_are_refused_are_many() -> None:
    forms = {*REFUSED_V4, *REFUSED_V6, *EMBEDDED, *URLS, *OTHERS, *CONTROLS, *PORTS}
    assert len(forms) >= 250


@pytest.mark.parametrize(
    ("url", "normal", "target", "host_header"),
    [
        ("HTTP://Example.ORG", "http://example.org/", b"/", b"example.org"),
        ("https://example.org:443/a?b=c", "https://example.org/a?b=c", b"/a?b=c", b"example.org"),
        ("https://example.org:8443?x", "https://example.org:8443/?x", b"/?x", b"example.org:8443"),
        ("http://bücher.example/é", "http://xn--bcher-kva.example/%C3%A9", b"/%C3%A9", b"xn--bcher-kva.example"),
        ("http://1.1.1.1:8080/", "http://1.1.1.1:8080/", b"/", b"1.1.1.1:8080"),
        ("http://[2606:4700::0001]/", "http://[2606:4700::1]/", b"/", b"[2606:4700::1]"),
        ("http://a_b.example.org/%2F..//x", "http://a_b.example.org/%2F..//x", b"/%2F..//x", b"a_b.example.org"),
        ("http://localhost:9000/", "http://localhost:9000/", b"/", b"localhost:9000"),
    ],
)
def test_a_url_is_parsed_once(url: str, normal: str, target: bytes, host_header: bytes) -> None:
    parsed = parse(url)
    assert (parsed.url, parsed.request_target, parsed.host_header) == (normal, target, host_header)
    assert parse(parsed.url) == parsed


@given(st.one_of(st.text(), st.from_regex(r"https?://[^/]{1,20}(:\d{1,5})?/.{0,20}", fullmatch=True)))
@example("http://[::1]:80/")
def test_any_text_is_a_target_or_a_refusal(url: str) -> None:
    try:
        parsed = parse(url)
    except RefusedUrl:
        return
    assert parse(parsed.url) == parsed
    assert b"\r" not in parsed.request_target + parsed.host_header
    assert b"\n" not in parsed.request_target + parsed.host_header
    assert b" " not in parsed.request_target + parsed.host_header

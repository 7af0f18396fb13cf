"""Addresses at the moment of connecting: every one is vetted, a vetted one is connected to, nothing else decides."""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from tests.hostile.behaviours import BEHAVIOURS
from tests.hostile.sending import LIMITS, LOOPBACK, listening, post
from tocsin.delivery.address import Address, Network, Refused
from tocsin.delivery.outcome import Outcome, OutcomeKind
from tocsin.delivery.sender import Sender

pytestmark = pytest.mark.anyio


class Names:
    """A resolver that answers what it is told, in turn; the last answer again and again."""

    def __init__(self, *answers: Sequence[str] | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def resolve(self, host: str) -> Sequence[Address]:
        self.asked.append(host)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return [ip_address(one) for one in answer]


async def outcome_of(names: Names, url: str, allowed: Sequence[Network] = LOOPBACK) -> Outcome:
    sender = Sender(LIMITS, allowed=allowed, resolver=names)
    try:
        return await post(sender, url)
    finally:
        await sender.close()


@pytest.mark.parametrize(
    ("addresses", "refused"),
    [
        (["10.0.0.1"], Refused.PRIVATE),
        (["1.1.1.1", "192.168.0.1"], Refused.PRIVATE),
        (["169.254.169.254"], Refused.LINK_LOCAL),
        (["::ffff:10.0.0.1"], Refused.IPV4_MAPPED),
        (["64:ff9b::a00:1"], Refused.NAT64),
        ([], Refused.NO_ADDRESS),
    ],
)
async def test_one_bad_address_refuses_the_name(addresses: list[str], refused: Refused) -> None:
    outcome = await outcome_of(Names(addresses), "http://cname.example.org/")
    assert (outcome.kind, outcome.refusal) == (OutcomeKind.REFUSED_ADDRESS, refused.value)
    assert outcome.address is None


async def test_a_literal_is_vetted_without_a_look_up() -> None:
    names = Names(["1.1.1.1"])
    outcome = await outcome_of(names, "http://127.0.0.1:9999/", allowed=())
    assert (outcome.kind, names.asked) == (OutcomeKind.REFUSED_ADDRESS, [])


async def test_the_vetted_address_is_the_one_connected_to() -> None:
    async with listening(BEHAVIOURS[0]) as url:
        port = url.rsplit(":", 1)[1]
        names = Names(["127.0.0.1"], ["10.0.0.1"])
        sender = Sender(LIMITS, allowed=LOOPBACK, resolver=names)
        first = await post(sender, f"http://rebinds.example.org:{port}")
        second = await post(sender, f"http://rebinds.example.org:{port}")
        await sender.close()
    assert first.status == 200
    assert first.address == f"127.0.0.1:{port.rstrip('/')}"
    assert second.kind is OutcomeKind.REFUSED_ADDRESS


async def test_a_name_without_an_address_is_a_failure() -> None:
    outcome = await outcome_of(Names(OSError(-2, "Name or service not known")), "http://nowhere.example.org/")
    assert outcome.kind is OutcomeKind.RESOLVE_FAILED


async def test_a_name_server_that_hangs_is_waited_for_within_its_limit() -> None:
    class Hangs(Names):
        async def resolve(self, host: str) -> Sequence[Address]:
            await asyncio.sleep(3600)
            return await super().resolve(host)

    sender = Sender(type(LIMITS)(resolve_timeout_seconds=0.1), allowed=LOOPBACK, resolver=Hangs([]))
    outcome = await post(sender, "http://slow.example.org/")
    await sender.close()
    assert outcome.kind is OutcomeKind.RESOLVE_TIMEOUT


async def test_proxies_from_the_environment_do_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    async with listening(BEHAVIOURS[0]) as url:
        outcome = await outcome_of(Names([]), url)
    assert outcome.status == 200

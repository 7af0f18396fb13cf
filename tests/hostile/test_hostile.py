"""The real sender against receivers that misbehave: the named outcome, in time, without a false success."""

import asyncio
import sys
from dataclasses import replace

import pytest

from tests.hostile.behaviours import BEHAVIOURS, EMPTY, Behaviour, says
from tests.hostile.sending import BODY, LIMITS, LOOPBACK, listening, post, sending
from tocsin.delivery.outcome import OutcomeKind
from tocsin.delivery.sender import Sender

pytestmark = pytest.mark.anyio

RSS_MAX_BYTES = 300 * 1024 * 1024


def test_the_behaviours_are_many() -> None:
    assert len({one.name for one in BEHAVIOURS}) == len(BEHAVIOURS) >= 40


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda one: one.name)
async def test_a_hostile_receiver_has_its_outcome_and_the_next_delivery_is_unharmed(behaviour: Behaviour) -> None:
    async with listening(behaviour) as url, listening(BEHAVIOURS[1]) as good, sending() as sender:
        first = await post(sender, url)
        assert (first.kind, first.status) == (behaviour.kind, behaviour.status), first
        assert len(first.response_body) <= LIMITS.response_body_keep_max_bytes
        assert first.reason.endswith(".")
        assert first.durations.total > 0
        second = await post(sender, good)
        assert (second.kind, second.status) == (OutcomeKind.RESPONSE, 200)
        again = await post(sender, url)
        assert (again.kind, again.status) == (behaviour.kind, behaviour.status), again


async def test_all_at_once_in_bounded_memory() -> None:
    """In a process of their own, whose memory holds nothing of other tests."""
    program = (sys.executable, "-m", "tests.hostile.sending")
    process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    assert process.returncode == 0
    print(f"{2 * len(BEHAVIOURS)} receivers at once: {int(printed) / 2**20:.0f} MiB")
    assert int(printed) < RSS_MAX_BYTES


async def test_a_connection_is_used_again() -> None:
    connections = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        writer.write(EMPTY)
        while await reader.readuntil(b"\r\n\r\n") and await reader.readexactly(len(BODY)):
            writer.write(EMPTY)

    async with listening(replace(BEHAVIOURS[0], talk=talk)) as url, sending() as sender:
        outcomes = [await post(sender, url) for _ in range(5)]
    assert [one.status for one in outcomes] == [200] * 5
    assert len(connections) == 1
    assert outcomes[0].durations.connect is not None
    assert outcomes[1].durations.connect is None


async def test_a_reused_connection_that_dies_is_tried_once_more() -> None:
    served = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(1)
        writer.write(EMPTY)
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")

    async with listening(replace(BEHAVIOURS[0], talk=talk)) as url, sending() as sender:
        first, second = await post(sender, url), await post(sender, url)
    assert (first.status, second.status) == (200, 200)
    assert len(served) == 2


async def test_more_posts_than_connections_wait_their_turn() -> None:
    behaviour = Behaviour("closes each time", says(EMPTY), OutcomeKind.RESPONSE, 200)
    limits = replace(LIMITS, connections_per_host=2, attempt_timeout_seconds=5.0)
    async with listening(behaviour) as url, sending(limits) as sender:
        outcomes = await asyncio.gather(*(post(sender, url) for _ in range(20)))
    assert [one.status for one in outcomes] == [200] * 20


async def test_what_is_in_flight_when_the_sender_closes_is_interrupted() -> None:
    never = next(one for one in BEHAVIOURS if one.name == "never answers")
    async with listening(never) as url:
        sender = Sender(LIMITS, allowed=LOOPBACK)
        waiting = asyncio.create_task(post(sender, url))
        await asyncio.sleep(0)
        await sender.close()
        assert (await waiting).kind is OutcomeKind.INTERRUPTED


async def test_nothing_listens() -> None:
    async with listening(BEHAVIOURS[0]) as url:
        pass
    async with sending() as sender:
        outcome = await post(sender, url)
    assert outcome.kind is OutcomeKind.CONNECT_FAILED
    assert outcome.reason == "No connection to the receiver: Connection refused."

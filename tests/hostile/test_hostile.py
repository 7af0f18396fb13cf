"""The real sender against receivers that misbehave: the named outcome, in time, without a false success."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.hostile.behaviours import BEHAVIOURS, EMPTY, Behaviour, says
from tocsin.delivery.address import networks
from tocsin.delivery.connection import Limits
from tocsin.delivery.outcome import Outcome, OutcomeKind
from tocsin.delivery.sender import Sender
from tocsin.delivery.target import parse

pytestmark = pytest.mark.anyio

LIMITS = Limits(attempt_timeout_seconds=0.6, connect_timeout_seconds=0.5)
LOOPBACK = networks(["127.0.0.0/8"])
BODY = b"x" * 2000
SLACK_SECONDS = 2.0
RSS_MAX_BYTES = 300 * 1024 * 1024


@asynccontextmanager
async def listening(behaviour: Behaviour) -> AsyncIterator[str]:
    """A server that behaves like this; its URL."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            again = True
            while again:
                if behaviour.reads_request:
                    await reader.readuntil(b"\r\n\r\n")
                    await reader.readexactly(len(BODY))
                await behaviour.talk(reader, writer)
                again = behaviour.keeps
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def sending(limits: Limits = LIMITS) -> AsyncIterator[Sender]:
    sender = Sender(limits, allowed=LOOPBACK)
    try:
        yield sender
    finally:
        await sender.close()


async def post(sender: Sender, url: str, body: bytes = BODY) -> Outcome:
    """The outcome, which must come in time."""
    done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    sender.post(parse(url), b"Content-Type: application/json\r\n", body, done.set_result)
    async with asyncio.timeout(sender.limits.attempt_timeout_seconds + SLACK_SECONDS):
        return await done


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
    """The whole process: sender, receivers, and the tests themselves."""
    async with sending() as sender, asyncio.timeout(60):
        await asyncio.gather(*(_once(sender, behaviour) for behaviour in BEHAVIOURS * 2))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{2 * len(BEHAVIOURS)} receivers at once: {most / 2**20:.0f} MiB")
    assert most < RSS_MAX_BYTES


async def _once(sender: Sender, behaviour: Behaviour) -> None:
    async with listening(behaviour) as url:
        outcome = await post(sender, url)
        success = outcome.kind is OutcomeKind.RESPONSE and outcome.status is not None and outcome.status < 300
        assert not success or behaviour.kind is OutcomeKind.RESPONSE, f"a false success: {behaviour.name}"


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

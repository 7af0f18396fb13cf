"""What the suite sends with and to. Run as a program: every behaviour twice at once, and the memory that the sender's
process took; the receivers are a process of their own, since some of them hold more than a sender ever may.

    python -m tests.hostile.sending
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.hostile.behaviours import BEHAVIOURS, Behaviour
from tocsin.delivery.address import networks
from tocsin.delivery.connection import Limits
from tocsin.delivery.outcome import Outcome, OutcomeKind
from tocsin.delivery.sender import Sender
from tocsin.delivery.target import parse

LIMITS = Limits(attempt_timeout_seconds=0.6, connect_timeout_seconds=0.5)
LOOPBACK = networks(["127.0.0.0/8"])
BODY = b"x" * 2000
SLACK_SECONDS = 2.0


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


ALL_AT_ONCE = BEHAVIOURS * 2
ALL_SECONDS = 60


async def receive() -> None:
    """Every receiver; prints their URLs in order, and serves until it is killed: some of them end in no other way."""
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(listening(behaviour)) for behaviour in ALL_AT_ONCE]
        print(json.dumps(urls), flush=True)
        await asyncio.Event().wait()


async def all_at_once() -> int:
    """Bytes of memory that the sender's process took at most."""
    program = (sys.executable, "-m", "tests.hostile.sending", "receive")
    receivers = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    assert receivers.stdout is not None
    try:
        urls = json.loads(await receivers.stdout.readline())
        async with sending() as sender, asyncio.timeout(ALL_SECONDS):
            await asyncio.gather(*map(_once, [sender] * len(urls), ALL_AT_ONCE, urls))
    finally:
        receivers.kill()
        await receivers.wait()
    return memory_max_bytes()


def memory_max_bytes() -> int:
    """Resident at most, of this program alone: getrusage's figure begins with that of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


async def _once(sender: Sender, behaviour: Behaviour, url: str) -> None:
    outcome = await post(sender, url)
    success = outcome.kind is OutcomeKind.RESPONSE and outcome.status is not None and outcome.status < 300
    assert not success or behaviour.kind is OutcomeKind.RESPONSE, f"a false success: {behaviour.name}"


if __name__ == "__main__":
    if sys.argv[1:] == ["receive"]:
        asyncio.run(receive())
    else:
        print(asyncio.run(all_at_once()))

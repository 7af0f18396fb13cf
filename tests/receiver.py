"""A real receiver on a socket: keeps what it got, answers what the test says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Received:
    """One notification; header names in lower case, `at` in seconds of the event loop's clock."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


Answer = Callable[[Received], int | None]
"""The status to answer; None: never answer."""


@dataclass
class Receiver:
    url: str
    answer: Answer = lambda _: 200
    received: list[Received] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    takes_seconds: float = 0.0
    in_flight: int = 0
    most_in_flight: int = 0

    async def wait_for(self, count: int, seconds: float = 20) -> list[Received]:
        """The notifications, as soon as there are so many."""
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines if one)}
        body = await reader.readexactly(int(headers["content-length"]))
        received = Received(line.split(" ")[1], headers, body, asyncio.get_running_loop().time())
        async with self.changed:
            self.received.append(received)
            self.changed.notify_all()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        status = self.answer(received)
        await asyncio.sleep(3600 if status is None else self.takes_seconds)
        self.in_flight -= 1
        writer.write(b"HTTP/1.1 %d Whatever\r\nContent-Length: 0\r\n\r\n" % (status or 0))
        await writer.drain()
        return True


@asynccontextmanager
async def receiver(answer: Answer = lambda _: 200) -> AsyncIterator[Receiver]:
    """Listens on loopback while the context lasts."""
    made = Receiver("", answer)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(made.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=1024)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

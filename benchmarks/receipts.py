"""A receiver that keeps when each notification came, in a process of its own, as quick as Python goes.

    python -m benchmarks.receipts PORT

Answers 200 to every POST. A line on standard input asks for the books: when which (report, state) came, in seconds of
CLOCK_MONOTONIC, by the key of `client.Change`; they are empty after that. Ends at the end of standard input.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import uvloop
from tests.processes import free_port

ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
ASK_SECONDS: Final = 0.1

BOOKS: Final[list[tuple[float, bytes]]] = []
"""When the last byte came, and the body."""


@dataclass
class Receiver:
    process: "subprocess.Popen[str]"
    port: int
    _kept: dict[str, float]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self) -> dict[str, float]:
        """Everything so far: when each came first."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        for key, at in json.loads(self.process.stdout.readline()):
            self._kept.setdefault(key, at)
        return self._kept

    def wait_for(self, keys: set[str], seconds: float) -> dict[str, float]:
        """When each came; asserts that all do. Forgets them."""
        give_up_at = time.monotonic() + seconds
        while missing := keys - self.ask().keys():
            assert time.monotonic() < give_up_at, f"{len(missing)} notifications are missing"
            time.sleep(ASK_SECONDS)
        found, self._kept = {key: self._kept[key] for key in keys}, {}
        return found


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.receipts", str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Receiver(process, port, {})
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)


class Connection(asyncio.Protocol):
    """Pipelining never happens: one request, one answer."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.index(b"content-length:") + 15
        line_end = head.find(b"\r", at)
        if len(self._buffer) < end + 4 + int(head[at : line_end if line_end > 0 else None]):
            return
        BOOKS.append((time.monotonic(), self._buffer[end + 4 :]))
        self._buffer = b""
        self._transport.write(ANSWER)


def told() -> list[tuple[str, float]]:
    found = []
    for at, body in BOOKS:
        payload = json.loads(body)["payload"]
        found.append((f"{payload['id']} {payload['state']}", at))
    BOOKS.clear()
    return found


async def main(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", port, backlog=1024)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("ready", flush=True)
    while await reader.readline():
        print(json.dumps(told()), flush=True)
    server.close()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))

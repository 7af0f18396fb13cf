"""A receiver in its own process, as quick as Python goes: answers 200, and keeps books on what it got.

    python -m benchmarks.sink PORT

Reads a line `report` on standard input: prints what it got so far, as JSON; ends at the end of standard input.
"""

import asyncio
import json
import sys
import time
from array import array
from collections import defaultdict
from typing import Any, Final

import uvloop

ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
ID_MARK: Final = b'"id":"'
ID_BYTES: Final = 36


class Books:
    """Of one path: how many of each sequence came, in which order for each resource, and when."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = defaultdict(int)
        self.last: dict[bytes, int] = {}
        self.out_of_order = 0
        self.times = array("d")
        self.sequences = array("q")

    def take(self, sequence: int, resource: bytes) -> None:
        self.counts[sequence] += 1
        if self.last.get(resource, 0) >= sequence:
            self.out_of_order += 1
        self.last[resource] = sequence
        self.times.append(time.time())
        self.sequences.append(sequence)

    def told(self, *, with_times: bool) -> dict[str, Any]:
        found: dict[str, Any] = {
            "received": len(self.times),
            "connections": OPEN["most"],
            "distinct": len(self.counts),
            "out_of_order": self.out_of_order,
            "first": self.times[0] if self.times else None,
            "last": self.times[-1] if self.times else None,
        }
        if with_times:
            found["times"] = dict(zip(self.sequences, self.times, strict=True))
        return found


OPEN: Final = {"now": 0, "most": 0}
"""Connections."""
BOOKS: dict[bytes, Books] = defaultdict(Books)


class Connection(asyncio.Protocol):
    """Pipelining never happens: one request, one answer."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        OPEN["now"] += 1
        OPEN["most"] = max(OPEN["now"], OPEN["most"])

    def connection_lost(self, _: Exception | None) -> None:
        OPEN["now"] -= 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.index(b"content-length:") + 15
        length = int(head[at : head.find(b"\r", at) if head.find(b"\r", at) > 0 else None])
        if len(self._buffer) < end + 4 + length:
            return
        body, path = self._buffer[end + 4 :], self._buffer.split(b" ", 2)[1]
        self._buffer = b""
        at = head.index(b"tocsin-sequence:") + 16
        sequence = int(head[at : head.index(b"\r", at)])
        mark = body.find(ID_MARK) + len(ID_MARK)
        BOOKS[path].take(sequence, body[mark : mark + ID_BYTES])
        self._transport.write(ANSWER)


async def main(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", port, backlog=1024)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("ready", flush=True)
    while line := await reader.readline():
        with_times = line.strip() == b"times"
        told = {path.decode(): books.told(with_times=with_times) for path, books in BOOKS.items()}
        print(json.dumps(told), flush=True)
    server.close()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))

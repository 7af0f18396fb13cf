"""The load: changes of reports over HTTP, from a process of its own, so that its time is nobody else's.

    python -m benchmarks.client JOB.json ANSWERS.json

With times (`at`), an open loop: each change is sent when its time has come, however slow the answers to earlier ones
are; what finds no free connection waits in line, and its delay counts from its own time on, so that a service that
stalls can't hide it (coordinated omission). Without times, a closed loop: each connection sends its next change as
soon as it has its answer. A report's next change waits for the answer to the one before, as whoever makes it would.
Times are seconds of CLOCK_MONOTONIC, which is the same in every process of this machine.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import uvloop

ENTERED: Final = {"accept": "ACCEPTED", "hold": "ON_HOLD", "progress": "IN_PROGRESS", "close": "CLOSED"}
"""A report's whole way, each transition with the state that it leads to."""
WALK: Final = tuple(ENTERED)
PATIENCE_SECONDS: Final = 120.0
"""After the last change's time; what is unanswered then stays so."""


class Change(NamedTuple):
    """One transition, and the token that may take it."""

    token: str
    report: str
    transition: str

    @property
    def key(self) -> str:
        """Of the event that it makes."""
        return f"{self.report} {ENTERED[self.transition]}"

    def request(self) -> bytes:
        body = b'{"transition":"%s"}' % self.transition.encode()
        return (
            b"POST /reports/%s/workflow/transition HTTP/1.1\r\nHost: tocsin\r\nAuthorization: Bearer %s\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        ) % (self.report.encode(), self.token.encode(), len(body), body)


@dataclass(frozen=True)
class Answers:
    """`changes`: key, when it should have been sent, when it was, when it was answered. `refused`: what came instead
    of a 200."""

    changes: Sequence[tuple[str, float, float, float]]
    refused: Sequence[str]
    unanswered: int

    @property
    def seconds(self) -> float:
        """From the first change to the last answer."""
        return max(one[3] for one in self.changes) - min(one[1] for one in self.changes)

    def checked(self) -> "Answers":
        """Every change was accepted: else whatever was measured is not what it says."""
        assert not self.refused, f"{len(self.refused)} refused: {self.refused[0]}"
        return self


def walk(reports: Sequence[tuple[str, str]], count: int) -> list[Change]:
    """The first `count` changes of (token, report)s: all are accepted, then all are put on hold, and so on."""
    changes = [Change(token, report, transition) for transition in WALK for token, report in reports]
    assert count <= len(changes), f"{count} changes of {len(reports)} reports"
    return changes[:count]


def send(ports: Sequence[int], connections: int, changes: Sequence[Change], at: Sequence[float] = ()) -> Answers:
    """In a process of its own; `at` in seconds from the beginning on, ascending, or nothing for a closed loop."""
    job = {"ports": list(ports), "connections": connections, "changes": changes, "at": list(at)}
    with tempfile.TemporaryDirectory() as directory:
        paths = Path(directory, "job.json"), Path(directory, "answers.json")
        paths[0].write_text(json.dumps(job))
        subprocess.run([sys.executable, "-m", "benchmarks.client", *map(str, paths)], check=True)
        return Answers(**json.loads(paths[1].read_text()))


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._buffer = b""
        self._transport: Any = None
        self._number = -1

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._number >= 0:
            self._load.ended(self, self._number, f"connection lost: {error}")

    def send(self, number: int, request: bytes) -> None:
        self._number = number
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.index(b"content-length:") + 15
        line_end = head.find(b"\r", at)
        length = int(head[at : line_end if line_end > 0 else None])
        if len(self._buffer) < end + 4 + length:
            return
        refusal = "" if self._buffer[9:12] == b"200" else self._buffer[:2000].decode(errors="replace")
        number, self._number, self._buffer = self._number, -1, b""
        self._load.ended(self, number, refusal)


class Load:
    """The changes, and what became of them."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._changes = [Change(*one) for one in job["changes"]]
        self._requests = [change.request() for change in self._changes]
        self._offsets: list[float] = job["at"]
        self._ports: list[int] = job["ports"]
        self._count: int = job["connections"]
        self._idle: list[Connection] = []
        self._waiting: deque[int] = deque()
        self._held: dict[str, deque[int]] = {}
        """Changes of reports that have one in flight, by the report; empty where none waits."""
        self._due: list[float] = [0.0] * len(self._changes)
        self._sent: list[float] = [0.0] * len(self._changes)
        self._answered: list[tuple[str, float, float, float]] = []
        self._refused: list[str] = []
        self._next = 0
        self._done = asyncio.Event()

    async def run(self) -> Answers:
        loop = asyncio.get_running_loop()
        for number in range(self._count):
            port = self._ports[number % len(self._ports)]
            _, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", port)
            self._idle.append(connection)
        if self._offsets:
            await self._open()
        else:
            self._closed()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS if self._offsets else None):
                await self._done.wait()
        except TimeoutError:
            pass
        unanswered = len(self._changes) - len(self._answered) - len(self._refused)
        return Answers(self._answered, self._refused, unanswered)

    async def _open(self) -> None:
        began = time.monotonic()
        for number, offset in enumerate(self._offsets):
            self._due[number] = began + offset
            await asyncio.sleep(max(0.0, self._due[number] - time.monotonic()))
            self._waiting.append(number)
            self._pump()

    def _closed(self) -> None:
        self._waiting.extend(range(len(self._changes)))
        self._pump()

    def _pump(self) -> None:
        while self._idle and self._waiting:
            number = self._waiting.popleft()
            held = self._held.get(self._changes[number].report)
            if held is None:
                self._send(self._idle.pop(), number)
            else:
                held.append(number)

    def _send(self, connection: Connection, number: int) -> None:
        self._held[self._changes[number].report] = deque()
        self._sent[number] = time.monotonic()
        if not self._offsets:
            self._due[number] = self._sent[number]
        connection.send(number, self._requests[number])

    def ended(self, connection: Connection, number: int, refusal: str) -> None:
        """An answer came: refused, or (the empty string) accepted."""
        now = time.monotonic()
        if refusal:
            self._refused.append(refusal)
        else:
            self._answered.append((self._changes[number].key, self._due[number], self._sent[number], now))
        self._waiting.extendleft(reversed(self._held.pop(self._changes[number].report)))
        self._idle.append(connection)
        self._pump()
        if len(self._answered) + len(self._refused) == len(self._changes):
            self._done.set()


def main() -> None:
    job, answers = map(Path, sys.argv[1:])
    found = uvloop.run(_run(json.loads(job.read_text())))
    answers.write_text(json.dumps(asdict(found)))


async def _run(job: dict[str, Any]) -> Answers:
    return await Load(job).run()


if __name__ == "__main__":
    main()

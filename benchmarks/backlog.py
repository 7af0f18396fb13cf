"""What an endpoint that is down costs while events pile up behind it, how it catches up, and what a replay does.

One service (one process, SQLite), a receiver in a process of its own. Live changes go through HTTP to a healthy
endpoint; their latency is compared, in the same run, between: nothing else; a dead endpoint with EVENTS behind it; that
endpoint catching up; a replay of REPLAY events to a third one.

The events that piled up are put into the log by its own statements, 1,000 to a transaction; each names one of 1,000
resources. Probes are counted over an hour of a clock that runs fast, on a copy of the database.

    python -m benchmarks.backlog [--events 1000000] [--replay 100000] [--rate 20] [--seconds 15]
"""

import argparse
import asyncio
import json
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

import httpx
import structlog
import uvloop
from tests.processes import Installation, free_port

from benchmarks.changing import TRANSITIONS, Round, load, prepare
from tocsin import app
from tocsin.cli.servers import prepare as migrated
from tocsin.domain.events import Event
from tocsin.domain.ids import uuid7
from tocsin.settings import load as settings_of
from tocsin.storage.records import NewEvent
from tocsin.storage.sqlite import connect
from tocsin.storage.sqlite_log import append_events

BATCH: Final = 1000
RESOURCES: Final = 1000
FAST: Final = 60.0
"""How much faster the clock runs while probes are counted."""
LIMIT: Final = 20
"""maxInFlight."""
ASK_SECONDS: Final = 0.5
DEAD: Final = "/dead"
LIVE: Final = "/live"
REPLAYED: Final = "/replayed"


class FastClock:
    """Stored time runs fast from now on; what is waited for does not."""

    def __init__(self) -> None:
        self._start = time.time()

    def now(self) -> int:
        return round((self._start + (time.time() - self._start) * FAST) * 1_000_000)

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class Sink:
    """The receiver's process."""

    process: subprocess.Popen[str]
    port: int

    @classmethod
    def start(cls, port: int) -> "Sink":
        command = [sys.executable, "-m", "benchmarks.sink", str(port)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return cls(process, port)

    def ask(self, what: str = "report") -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)


@dataclass
class Phase:
    """A time under one load: what the live changes' notifications took, in ms."""

    name: str
    p50: float
    p99: float


def pile_up(path: Path, organization_id: str, event: Event, count: int) -> None:
    """Put events into a log, as a change does, many to a transaction."""
    connection = connect(path)
    body = b'{"event":"%s","payload":{"type":"Operation","id":"%s","filler":"%s"}}'
    ids = [uuid7(int(time.time() * 1e6), bytes([n % 256, n // 256] * 5)) for n in range(RESOURCES)]
    for begin in range(0, count, BATCH):
        now = int(time.time() * 1e6)
        new = []
        for n in range(begin, min(begin + BATCH, count)):
            one, resource = uuid7(now, n.to_bytes(10, "big")), ids[n % RESOURCES]
            new.append(
                NewEvent(organization_id, event, one, resource, body % (event.encode(), resource.encode(), b"x" * 700))
            )
        connection.execute("BEGIN IMMEDIATE")
        append_events(connection, now, new)
        connection.execute("COMMIT")
    connection.close()


def rows(path: Path, text: str, *arguments: Any) -> Any:
    """The first row."""
    connection = connect(path, read_only=True)
    found = connection.execute(text, arguments).fetchone()
    connection.close()
    return found


async def probes_an_hour(installation: Installation, directory: Path) -> int:
    """POSTs to the dead endpoint in an hour of the fast clock, on a copy of the database."""
    copy = directory / "copy.db"
    shutil.copy(installation.directory / "tocsin.db", copy)
    shutil.copy(installation.directory / "tocsin.db-key", directory / "copy.db-key")
    settings = settings_of({"TOCSIN_DATABASE_URL": f"sqlite:///{copy}", "TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8"})
    migrated(settings, with_migrations=True)
    stop = asyncio.Event()
    async with app.open_use_cases(settings, "http://x", FastClock()) as use_cases:
        working = asyncio.create_task(app.run_worker(settings, use_cases, stop))
        await asyncio.sleep(10)  # until it has found again that the endpoint is down
        (before,) = rows(copy, "SELECT count(*) FROM attempts")
        await asyncio.sleep(3600 / FAST)
        (after,) = rows(copy, "SELECT count(*) FROM attempts")
        stop.set()
        await working
    return int(after - before)


@dataclass
class Backlog:
    """The course of the benchmark, a method for each part."""

    installation: Installation
    directory: Path
    events: int
    replayed: int
    rate: float
    count: int
    sink: Sink
    dead_port: int
    phases: list[Phase] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    groups: list[list[str]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    """Sequences of live notifications of earlier phases."""

    @property
    def database(self) -> Path:
        return self.installation.directory / "tocsin.db"

    @property
    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.installation.url, headers=self.headers, timeout=60)

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        async with self.http as http:
            return (await http.request(method, path, json=body)).raise_for_status().json()

    async def run(self) -> None:
        await self.installation.serve()
        need = 5 * -(-self.count // len(TRANSITIONS))
        live = f"http://127.0.0.1:{self.sink.port}{LIVE}"
        self.headers, reports = await prepare(self.installation, live, need)
        self.groups = [reports[n::5] for n in range(5)]
        webhooks = (await self.call("GET", "/"))["_links"]["webhooks"][0]["href"].removeprefix(self.installation.url)
        organization = webhooks.split("/")[2]
        dead = await self.webhook(webhooks, "operationCreated", f"http://127.0.0.1:{self.dead_port}{DEAD}")
        second = await self.webhook(webhooks, "operationRemoved", f"http://127.0.0.1:{self.sink.port}{REPLAYED}")
        await self.phase("nothing else")
        await self.pile_up(organization, Event.OPERATION_CREATED, self.events)
        await self.be_down(dead)
        await self.catch_up(dead)
        await self.pile_up(organization, Event.OPERATION_REMOVED, self.replayed)
        await until(lambda: self._pending(second))
        await self.phase("nothing else, again")
        await self.replay(second)

    async def webhook(self, path: str, event: str, url: str) -> str:
        return str((await self.call("POST", path, {"event": event, "payloadUrl": url, "maxInFlight": LIMIT}))["id"])

    async def _pending(self, webhook: str) -> bool:
        return not (await self.call("GET", f"/webhooks/{webhook}/status"))["pending"]

    async def phase(self, name: str) -> None:
        """Live changes, and how long each took to the endpoint that only they go to."""
        offset = time.time() - asyncio.get_running_loop().time()
        reports = self.groups.pop(0)
        result: Round = await load(self.installation.url, self.headers, reports, self.rate, self.count)
        answered = sorted(at + offset for at in result.answered.values())

        async def there() -> bool:
            return len(self._live()) - len(self.seen) >= self.count

        await until(there)
        fresh = {sequence: at for sequence, at in self._live().items() if sequence not in self.seen}
        self.seen |= set(fresh)
        latencies = [(at - sent) * 1000 for at, sent in zip(sorted(fresh.values()), answered, strict=True)]
        cuts = quantiles(latencies, n=100, method="inclusive")
        self.phases.append(Phase(name, cuts[49], cuts[98]))

    def _live(self) -> dict[str, float]:
        return dict(self.sink.ask("times").get(LIVE, {}).get("times", {}))

    async def pile_up(self, organization: str, event: Event, count: int) -> None:
        """With the service stopped; then it starts again."""
        await self.installation.stop(self.installation.processes[-1])
        before, began = self.database.stat().st_size, time.monotonic()
        await asyncio.to_thread(pile_up, self.database, organization, event, count)
        each = (self.database.stat().st_size - before) / count
        self.lines.append(f"{count:,} events piled up in {time.monotonic() - began:.0f} s, {each:.0f} bytes each")
        await self.installation.serve()

    async def be_down(self, webhook: str) -> None:
        async def down() -> bool:
            return "is down" in (await self.call("GET", f"/webhooks/{webhook}/status")).get("reason", "")

        await until(down)
        await self.phase(f"{self.events:,} behind a dead endpoint")
        parked, size = rows(self.database, "SELECT count(*), coalesce(sum(length(reason) + 200), 0) FROM retries")
        (attempted,) = rows(self.database, "SELECT count(*) FROM attempts WHERE webhook_id = ?", webhook)
        probes = await probes_an_hour(self.installation, self.directory)
        self.lines.append(
            f"down: {parked} parked rows of about {size} bytes in all, {attempted} attempts until it counted as down"
            f" and since, {probes} probes an hour"
        )

    async def catch_up(self, webhook: str) -> None:
        late = Sink.start(self.dead_port)
        try:
            await self.call("PATCH", f"/webhooks/{webhook}", {"enabled": False})
            await self.call("PATCH", f"/webhooks/{webhook}", {"enabled": True})
            await self.phase("it catches up")

            async def everything() -> bool:
                return int(late.ask().get(DEAD, {"distinct": 0})["distinct"]) >= self.events

            await until(everything)
            got = late.ask()[DEAD]
            self.lines.append(
                f"caught up: {got['received']:,} received, {got['distinct']:,} distinct, {got['out_of_order']} out of"
                f" order, {self.events / (got['last'] - got['first']):,.0f} a second; at most"
                f" {got['connections']} connections (maxInFlight {LIMIT})"
            )
        finally:
            late.stop()

    async def replay(self, webhook: str) -> None:
        had, began = self.sink.ask()[REPLAYED], time.time()
        replay = await self.call("POST", f"/webhooks/{webhook}/replays", {"from": 0})
        await self.phase(f"a replay of {self.replayed:,}")

        async def done() -> bool:
            state = (await self.call("GET", f"/webhooks/{webhook}/replays/{replay['id']}"))["state"]
            return bool(state == "done")

        await until(done)
        got = self.sink.ask()[REPLAYED]
        again = got["received"] - had["received"]
        # each resource begins again once: that one step back is the replay's beginning
        backwards = got["out_of_order"] - had["out_of_order"] - min(RESOURCES, self.replayed)
        self.lines.append(
            f"replayed: {again:,} of {replay['total']:,}, {backwards} out of order,"
            f" {again / (got['last'] - began):,.0f} a second"
        )


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Ask now and then; raises TimeoutError after half an hour."""
    for _ in range(round(1800 / ASK_SECONDS)):
        if await true():
            return
        await asyncio.sleep(ASK_SECONDS)
    raise TimeoutError


async def run(events: int, replayed: int, rate: float, seconds: float, directory: Path) -> str:
    installation = Installation(directory / "service")
    installation.directory.mkdir()
    sink = Sink.start(free_port())
    course = Backlog(installation, directory, events, replayed, rate, int(rate * seconds), sink, free_port())
    try:
        await course.run()
    finally:
        installation.kill()
        sink.stop()
    return "\n".join([table(course.phases, rate), *course.lines])


def table(phases: list[Phase], rate: float) -> str:
    lines = [
        f"live notifications, {rate:g} changes a second, from the 2xx to the receipt, ms",
        f"{'meanwhile':<36} {'p50':>8} {'p99':>8} {'p50 ratio':>10}",
    ]
    base = phases[0].p50
    lines += [f"{one.name:<36} {one.p50:>8.1f} {one.p99:>8.1f} {one.p50 / base:>10.2f}" for one in phases]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--replay", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=20, help="changes a second")
    parser.add_argument("--seconds", type=float, default=15, help="of load in each phase")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as directory:
        print(uvloop.run(run(given.events, given.replay, given.rate, given.seconds, Path(directory))))


if __name__ == "__main__":
    main()

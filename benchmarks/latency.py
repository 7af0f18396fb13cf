"""From the 2xx of a change to the receipt of its notification, while changes come at a rate, on both engines; and while
a million events wait behind a dead endpoint.

On SQLite the service is one process, as `tocsin serve` is by itself; on PostgreSQL API and worker are two. Changes
come through HTTP, over 100 organizations with a webhook each, from an open loop (`client.py`) at random times (a
Poisson process, the same in every round): reports go their whole way. Load, service, receiver and database are
processes of their own; when a 2xx is read and when a notification's last byte is, is told by the one clock of this
machine. A notification that comes before its 2xx counts less than nothing. The dead endpoint refuses connections,
belongs to the first of the organizations, and wants the same events as the live one; its breaker is open before the
clock starts.

    python -m benchmarks.latency [--rounds 3] [--scale 1] [--only NAME] [--json FILE]

--scale: of the backlog and of the seconds of load.
"""

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Final

import httpx
from tests.processes import Installation

from benchmarks import results
from benchmarks.bulk import City, Plan, fill
from benchmarks.changes import Field
from benchmarks.client import WALK, Answers, send, walk
from benchmarks.installations import POSTGRESQL, SQLITE, Databases, databases
from benchmarks.machine import cpu_by_part
from benchmarks.receipts import Receiver, receiving
from benchmarks.results import Document, Round, Rounds, Table, Wanted, interleaved, middle, spread

BACKLOG: Final = 1_000_000
SECONDS: Final = {10: 10.0, 100: 8.0, 500: 6.0}
"""Of load in a round, by changes a second."""
LEAST_SECONDS: Final = 2.0
CONNECTIONS: Final = 128
WARM: Final = 200
"""Changes before, one after another."""
WAIT_SECONDS: Final = 60.0
SEED: Final = 20180227


@dataclass(frozen=True)
class Setup:
    """`apart`: API and worker are processes of their own; else one, as `tocsin serve` runs them."""

    engine: str
    rate: int
    apart: bool
    backlog: bool = False

    @property
    def name(self) -> str:
        processes = "two processes" if self.apart else "one process"
        return f"{self.engine}, {processes}, {self.rate}/s{BEHIND if self.backlog else ''}"


BEHIND: Final = ", backlog behind a dead endpoint"
SETUPS: Final = (
    *(Setup(POSTGRESQL, rate, apart=True) for rate in SECONDS),
    *(Setup(SQLITE, rate, apart=False) for rate in SECONDS),
    Setup(SQLITE, 100, apart=True),
    Setup(POSTGRESQL, 100, apart=True, backlog=True),
    Setup(SQLITE, 100, apart=False, backlog=True),
)


@dataclass
class Place:
    """A filled database with its organizations."""

    field: Field
    cities: Sequence[City]

    async def down(self, installation: Installation) -> None:
        """Wait until the dead endpoint is known to be down."""
        city = self.cities[0]
        headers = {"Authorization": f"Bearer {city.token}"}
        async with httpx.AsyncClient(base_url=installation.url, headers=headers) as http:
            async with asyncio.timeout(WAIT_SECONDS):
                while True:
                    status = (await http.get(f"/webhooks/{city.dead}/status")).raise_for_status().json()
                    if "is down" in status.get("reason", ""):
                        return
                    await asyncio.sleep(0.1)


def one_round(
    setup: Setup, place: Place, kept: Databases, receiver: Receiver, directory: Path, seconds: float
) -> Round:
    installation = Installation(directory, more=place.field.environment)
    try:
        asyncio.run(_start(setup, installation, place))
        warm = send([installation.port], 1, walk(place.field.take(WARM), WARM)).checked()
        receiver.wait_for({key for key, *_ in warm.changes}, WAIT_SECONDS)
        api, *workers = (one.pid for one in installation.processes)
        watched = {"api": [api], "worker": workers, "database": [kept.server_process]}
        at = arrivals(setup.rate, seconds)
        before = cpu_by_part(watched)
        answers = send([installation.port], CONNECTIONS, walk(place.field.take(len(at)), len(at)), at).checked()
        received = receiver.wait_for({key for key, *_ in answers.changes}, WAIT_SECONDS)
        after = cpu_by_part(watched)
        for process in list(installation.processes):
            asyncio.run(installation.stop(process))
    finally:
        installation.kill()
    assert not answers.unanswered, f"{answers.unanswered} changes had no answer"
    each = {f"{part}_us": (after[part] - before[part]) / len(at) * 1e6 for part in watched}
    if setup.engine == SQLITE:
        each["database_us"] = 0.0
    return measured(answers, received) | each


async def _start(setup: Setup, installation: Installation, place: Place) -> None:
    await installation.serve(*(("--no-worker",) if setup.apart else ()))
    if setup.apart:
        installation.start("worker")
    if setup.backlog:
        await place.down(installation)


def arrivals(rate: int, seconds: float) -> list[float]:
    """When changes come, in seconds: as from many people who don't know of each other."""
    chance, at, now = random.Random(SEED), [], 0.0
    while (now := now + chance.expovariate(rate)) < seconds:
        at.append(now)
    return at


def measured(answers: Answers, received: Mapping[str, float]) -> dict[str, float]:
    latencies = [(received[key] - answered) * 1000 for key, _, _, answered in answers.changes]
    cuts = quantiles(latencies, n=100, method="inclusive")
    calls = quantiles([(answered - due) * 1000 for _, due, _, answered in answers.changes], n=100, method="inclusive")
    return {
        "p50_ms": cuts[49],
        "p95_ms": cuts[94],
        "p99_ms": cuts[98],
        "most_ms": max(latencies),
        "call_p50_ms": calls[49],
        "call_p99_ms": calls[98],
        "answered_per_second": len(answers.changes) / answers.seconds,
    }


def measure(wanted: Wanted) -> Rounds:
    chosen = wanted.chosen(SETUPS, lambda setup: setup.name)
    seconds = {rate: max(LEAST_SECONDS, seconds * min(wanted.scale, 3.0)) for rate, seconds in SECONDS.items()}
    with databases(wanted.directory) as kept, receiving() as receiver, refusing() as dead:
        places = {}
        for engine, backlog in {(one.engine, one.backlog): None for one in chosen}:
            sharing = [one for one in chosen if (one.engine, one.backlog) == (engine, backlog)]
            changes = sum(len(arrivals(one.rate, seconds[one.rate])) + WARM + 2 * len(WALK) for one in sharing)
            reports = -(-changes * wanted.rounds // len(WALK) // 100)
            plan = Plan(reports=reports + 1)
            if backlog:
                plan = Plan(reports=reports + 1, events=wanted.times(BACKLOG), dead=f"{dead}/dead")
            environment = kept.new(engine) | {"TOCSIN_RATE_LIMITS": "off"}
            began = time.monotonic()
            cities = asyncio.run(fill(environment, plan, receiver.url))
            print(f"filled in {time.monotonic() - began:.0f} s: {plan}", flush=True)
            places[engine, backlog] = Place(Field.of(environment, cities), cities)

        def one(setup: Setup, _: int) -> Round:
            place = places[setup.engine, setup.backlog]
            return one_round(setup, place, kept, receiver, wanted.directory, seconds[setup.rate])

        return interleaved(wanted.rounds, chosen, lambda setup: setup.name, one)


@contextlib.contextmanager
def refusing() -> Iterator[str]:
    """A URL where connections are refused: the port is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def tables(document: Document) -> list[Table]:
    columns = (
        "setup",
        "p50, ms",
        "p95, ms",
        "p99, ms",
        "p50, p99 to without",
        "call p99, ms",
        "API µs",
        "worker µs",
        "database µs",
    )
    lines = []
    for name, rounds in document.setups.items():
        base = document.setups.get(name.removesuffix(BEHIND), ())
        ratio = ""
        if name.endswith(BEHIND) and base:
            ratio = ", ".join(f"{middle(rounds, key) / middle(base, key):.2f}" for key in ("p50_ms", "p99_ms"))
        lines.append(
            (
                name,
                *(spread(rounds, key, ".1f") for key in ("p50_ms", "p95_ms", "p99_ms")),
                ratio,
                f"{middle(rounds, 'call_p99_ms'):.0f}",
                *(f"{middle(rounds, key):,.0f}" for key in ("api_us", "worker_us", "database_us")),
            )
        )
    note = (
        f"Backlog: {document.scale * BACKLOG:,.0f} events. A call's time counts from when it should have been made. "
        "CPU µs for each change with its delivery; on SQLite the database is a part of the API's process."
    )
    return [Table("From the 2xx of a change to the receipt of its notification", columns, lines, note)]


if __name__ == "__main__":
    results.main(__doc__, measure, tables)

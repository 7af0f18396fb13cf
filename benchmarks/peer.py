"""Against the peer that a Python team would build from today's parts: procrastinate (PostgreSQL) and aiohttp.

The peer (`peer_worker.py`) defers a job for each delivery when the change is made, many at once; its worker signs,
POSTs, and records the attempt. It is tuned: uvloop, keep-alive, prepared statements through asyncpg for its own tables,
webhooks and events kept in memory, no log lines, successful jobs deleted; concurrency as procrastinate's documentation
has it in its example, and more (the table has both). It lacks what tocsin's figures include: order of a resource's
notifications, a breaker and slow start for each endpoint, leases that a hung process loses, the record of timings, the
vetting of addresses, secrets that are encrypted at rest.

Both on one PostgreSQL with its default durability, to one nginx, with the same bodies, one worker process each, in
turns. The queue is full before the worker starts; measured from the first twentieth delivered on. The peer gets fewer
deliveries, so that a round ends: its queue is shorter, which is in its favour.

    python -m benchmarks.peer [--rounds 3] [--scale 1] [--only NAME] [--json FILE]
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
from procrastinate.types import JSONDict
from tests.postgres import execute

from benchmarks import peer_worker, results
from benchmarks.installations import BODY, ORGANIZATIONS, POSTGRESQL, Databases, Shape, databases
from benchmarks.machine import Nginx, cpu_by_part, nginx
from benchmarks.results import Document, Round, Rounds, Table, Wanted, interleaved, middle, spread
from benchmarks.throughput import WARM, wait_for

FAN_OUT: Final = 10
EVENTS: Final = 60
"""In each organization, for tocsin."""
PEER_DELIVERIES: Final = 4_000
DEFERRED_AT_ONCE: Final = 1_000
SECRET: Final = bytes(range(32))
KEPT: Final = "tocsin"


@dataclass(frozen=True)
class Setup:
    """`concurrency`: of the peer; 0: tocsin."""

    name: str
    concurrency: int


TOCSIN: Final = Setup("tocsin", 0)
SETUPS: Final = (
    TOCSIN,
    Setup("procrastinate + aiohttp, concurrency 30", 30),
    Setup("procrastinate + aiohttp, concurrency 100", 100),
)


async def fill_peer(url: str, receiver: str, deliveries: int) -> None:
    """Its tables, and a job for each delivery: a batch for each event would be the same rows."""
    app = peer_worker.app_of(url, 4)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(peer_worker.SCHEMA)
            events = -(-deliveries // FAN_OUT)
            hooks = [(n, f"{receiver}/{n // FAN_OUT}/{n % FAN_OUT}", SECRET) for n in range(ORGANIZATIONS * FAN_OUT)]
            await connection.copy_records_to_table("webhooks", records=hooks)
            await connection.copy_records_to_table("events", records=[(n, BODY) for n in range(events)])
        finally:
            await connection.close()
        jobs: list[JSONDict] = [
            {"webhook_id": event % ORGANIZATIONS * FAN_OUT + n, "event_id": event}
            for event in range(events)
            for n in range(FAN_OUT)
        ]
        for begin in range(0, len(jobs), DEFERRED_AT_ONCE):
            await app.tasks["deliver"].batch_defer_async(*jobs[begin : begin + DEFERRED_AT_ONCE])


@contextlib.contextmanager
def peer_running(url: str, concurrency: int, directory: Path) -> Iterator[int]:
    """The peer's worker; its process id."""
    command = [sys.executable, "-m", "benchmarks.peer_worker", url, str(concurrency)]
    with (directory / "peer.log").open("ab") as log:
        process = subprocess.Popen(command, stderr=log, env=dict(os.environ))
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def running(setup: Setup, kept: Databases, receiver: Nginx, deliveries: int, directory: Path) -> Iterator[int]:
    """A full queue, and then the worker's process id."""
    if setup is TOCSIN:
        with kept.copy(KEPT, directory) as installation:
            yield installation.start("worker").pid
        return
    name = "peer"
    execute(kept.server.url("postgres"), f"CREATE DATABASE {name}")
    try:
        url = kept.server.url(name)
        asyncio.run(fill_peer(url, receiver.url, deliveries))
        execute(url, "VACUUM ANALYZE")
        execute(url, "CHECKPOINT")
        with peer_running(url, setup.concurrency, directory) as process_id:
            yield process_id
    finally:
        execute(kept.server.url("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


def one_round(setup: Setup, kept: Databases, receiver: Nginx, deliveries: int, directory: Path) -> Round:
    before = receiver.received()
    with running(setup, kept, receiver, deliveries, directory) as worker:
        watched = {"worker": [worker], "database": [kept.server_process], "receiver": [receiver.process.pid]}
        wait_for(receiver, before + round(deliveries * WARM))
        since, warm, used = time.monotonic(), receiver.received(), cpu_by_part(watched)
        wait_for(receiver, before + deliveries)
        seconds, count = time.monotonic() - since, receiver.received() - warm
        time.sleep(0.1)  # the last results are written
        after = cpu_by_part(watched)
    each = {part: (after[part] - used[part]) / count * 1e6 for part in watched}
    return {
        "deliveries_per_second": count / seconds,
        "deliveries_per_cpu_second": 1e6 / (each["worker"] + each["database"]),
        **{f"{part}_us": value for part, value in each.items()},
    }


def measure(wanted: Wanted) -> Rounds:
    chosen = wanted.chosen(SETUPS, lambda setup: setup.name)
    shape = Shape(FAN_OUT, wanted.times(EVENTS))
    with databases(wanted.directory) as kept, nginx(wanted.directory / "nginx") as receiver:
        kept.fill(KEPT, POSTGRESQL, shape, receiver.url)

        def one(setup: Setup, _: int) -> Round:
            deliveries = shape.deliveries if setup is TOCSIN else wanted.times(PEER_DELIVERIES // FAN_OUT) * FAN_OUT
            return one_round(setup, kept, receiver, deliveries, wanted.directory)

        return interleaved(wanted.rounds, chosen, lambda setup: setup.name, one)


def tables(document: Document) -> list[Table]:
    columns = ("worker", "deliveries/s", "worker µs", "database µs", "deliveries/CPU-second", "tocsin's to it")
    ours = document.setups.get(TOCSIN.name, ())
    lines = []
    for name, rounds in document.setups.items():
        ratio = (middle(ours or rounds, key) / middle(rounds, key) for key in ("deliveries_per_cpu_second",))
        lines.append(
            (
                name,
                spread(rounds, "deliveries_per_second"),
                spread(rounds, "worker_us"),
                spread(rounds, "database_us"),
                spread(rounds, "deliveries_per_cpu_second"),
                f"{next(ratio):.1f}",
            )
        )
    note = f"PostgreSQL, fan-out {FAN_OUT}, one worker process, every attempt recorded. CPU of worker and database."
    return [Table("Against procrastinate and aiohttp", columns, lines, note)]


if __name__ == "__main__":
    results.main(__doc__, measure, tables)

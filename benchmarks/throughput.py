"""How many notifications a second workers deliver, and the CPU time of each, against what wrk gets out of the same
receiver.

The log is full before the workers start; nginx, a process of its own, receives; every attempt is recorded, and commits
reach the disk. Measured from the first twentieth delivered to the last delivery; CPU time by process. wrk, one thread,
POSTs the same notification to the same nginx just before each round.

    python -m benchmarks.throughput [--rounds 3] [--scale 1] [--only NAME] [--json FILE]

--scale: of the events.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.processes import Installation

from benchmarks import results
from benchmarks.installations import BODY, POSTGRESQL, SQLITE, Databases, Shape, appending, databases, head
from benchmarks.machine import Nginx, cpu_by_part, nginx, wrk
from benchmarks.results import Document, Round, Rounds, Table, Wanted, interleaved, middle, spread

WRK_SECONDS: Final = 2.0
WARM: Final = 0.05
"""This part is delivered before the clock starts: processes start, connections are made."""
POLL_SECONDS: Final = 0.02
ROUND_SECONDS: Final = 300.0
AGAINST: Final = "PostgreSQL, fan-out 10"
"""What more workers and TLS are compared with, besides wrk."""


@dataclass(frozen=True)
class Setup:
    """One line of the table."""

    name: str
    engine: str
    shape: Shape
    workers: int = 1
    tls: bool = False
    waves: int = 0
    """The log is delivered before the clock starts; then this many times an event comes to each organization."""


def setups(scale: float) -> tuple[Setup, ...]:
    def of(name: str, engine: str, fan_out: int, events: int, **more: object) -> Setup:
        return Setup(name, engine, Shape(fan_out, max(1, round(events * scale))), **more)  # type: ignore[arg-type]

    return (
        of("PostgreSQL, fan-out 1", POSTGRESQL, 1, 400),
        of("PostgreSQL, fan-out 10", POSTGRESQL, 10, 60),
        of("PostgreSQL, fan-out 100", POSTGRESQL, 100, 6),
        Setup("PostgreSQL, sparse: 5,000 endpoints, an event each", POSTGRESQL, Shape(50, 1), waves=5),
        of("PostgreSQL, fan-out 10, TLS", POSTGRESQL, 10, 60, tls=True),
        of("PostgreSQL, fan-out 10, 2 workers", POSTGRESQL, 10, 90, workers=2),
        of("SQLite, fan-out 1", SQLITE, 1, 400),
        of("SQLite, fan-out 10", SQLITE, 10, 60),
    )


def one_round(setup: Setup, kept: Databases, receiver: Nginx, directory: Path) -> Round:
    """A copy of the setup's database, its workers, and what they do until everything is delivered."""
    base = wrk(receiver, directory, head(receiver.url), BODY, WRK_SECONDS)
    trusted = {} if receiver.ca_file is None else {"TOCSIN_CA_FILE": str(receiver.ca_file)}
    with kept.copy(setup.name, directory, **trusted) as installation:
        before = receiver.received()
        workers = [installation.start("worker").pid for _ in range(setup.workers)]
        watched = {"worker": workers, "receiver": [receiver.process.pid], "database": [kept.server_process]}
        wait_for(receiver, before + round(setup.shape.deliveries * (1.0 if setup.waves else WARM)))
        began, warm, used = time.monotonic(), receiver.received(), cpu_by_part(watched)
        if setup.waves:
            seconds = rolled(setup, installation, receiver)
        else:
            wait_for(receiver, before + setup.shape.deliveries)
            seconds = time.monotonic() - began
        count = receiver.received() - warm
        time.sleep(0.1)  # the last results are written
        after = cpu_by_part(watched)
    each = {f"{name}_us": (after[name] - used[name]) / count * 1e6 for name in watched}
    if setup.engine == SQLITE:
        each["database_us"] = 0.0
    return {"deliveries_per_second": count / seconds, "of_wrk": count / seconds / base.per_second, **each}


def rolled(setup: Setup, installation: Installation, receiver: Nginx) -> float:
    """Append in waves, each when the one before is delivered; returns the seconds from their commits to their ends."""
    seconds = 0.0
    with appending(installation) as append:
        for _ in range(setup.waves):
            before = receiver.received()
            append(1)
            began = time.monotonic()
            wait_for(receiver, before + setup.shape.organizations * setup.shape.webhooks)
            seconds += time.monotonic() - began
    return seconds


def wait_for(receiver: Nginx, count: int) -> None:
    give_up_at = time.monotonic() + ROUND_SECONDS
    while (so_far := receiver.received()) < count:
        assert time.monotonic() < give_up_at, f"{count - so_far} deliveries are missing"
        time.sleep(POLL_SECONDS)


def measure(wanted: Wanted) -> Rounds:
    chosen = wanted.chosen(setups(wanted.scale), lambda setup: setup.name)
    directory = wanted.directory
    with (
        databases(directory) as kept,
        nginx(directory / "plain") as plain,
        nginx(directory / "tls", tls=True) as tls,
    ):
        for setup in chosen:
            kept.fill(setup.name, setup.engine, setup.shape, (tls if setup.tls else plain).url)

        def one(setup: Setup, _: int) -> Round:
            return one_round(setup, kept, tls if setup.tls else plain, directory)

        return interleaved(wanted.rounds, chosen, lambda setup: setup.name, one)


def tables(document: Document) -> list[Table]:
    columns = ("setup", "deliveries/s", "of wrk", "worker µs", "database µs", "both µs", "receiver µs", "to fan-out 10")
    found = document.setups
    lines = []
    for name, rounds in found.items():
        base = found.get(AGAINST) if name.startswith(f"{AGAINST}, ") else None
        rates = [middle(some, "deliveries_per_second") for some in (rounds, base) if some]
        lines.append(
            (
                name,
                spread(rounds, "deliveries_per_second"),
                spread(rounds, "of_wrk", ".2f"),
                spread(rounds, "worker_us"),
                spread(rounds, "database_us"),
                f"{middle(rounds, 'worker_us') + middle(rounds, 'database_us'):.0f}",
                f"{middle(rounds, 'receiver_us'):.0f}",
                f"{rates[0] / rates[1]:.2f}" if base else "",
            )
        )
    note = (
        "CPU µs for each delivery. Of wrk: its requests a second with the same body to the same receiver, just before. "
        "On SQLite the database is a part of the worker's process."
    )
    return [Table("Deliveries", columns, lines, note)]


if __name__ == "__main__":
    results.main(__doc__, measure, tables)

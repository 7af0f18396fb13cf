"""How many notifications a second workers deliver, and the CPU time of each, against what wrk gets out of the same
receiver.

The log is full before the workers start; nginx, a process of its own, receives; every attempt is recorded, and commits
reach the disk. Measured from the first twentieth delivered to the last delivery; CPU time by process. wrk, one thread,
POSTs the same notification to the same nginx just before each round. Prints a table: medians over the rounds, with the
range of the ratio.

    python -m benchmarks.throughput [--rounds 5] [--scale 1] [--only NAME]
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from tests.processes import Installation

from benchmarks.installations import BODY, POSTGRESQL, SQLITE, Databases, Shape, appending, databases, head
from benchmarks.machine import Nginx, cpu_seconds, nginx, wrk

WRK_SECONDS: Final = 2.0
WARM: Final = 0.05
"""This part is delivered before the clock starts: processes start, connections are made."""
POLL_SECONDS: Final = 0.02
ROUND_SECONDS: Final = 300.0


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
    against: str | None = None
    """The setup whose deliveries a second these are compared with, besides wrk."""


def setups(scale: float) -> tuple[Setup, ...]:
    def of(name: str, engine: str, fan_out: int, events: int, **more: object) -> Setup:
        return Setup(name, engine, Shape(fan_out, max(1, round(events * scale))), **more)  # type: ignore[arg-type]

    return (
        of("PostgreSQL, fan-out 1", POSTGRESQL, 1, 400),
        of("PostgreSQL, fan-out 10", POSTGRESQL, 10, 60),
        of("PostgreSQL, fan-out 100", POSTGRESQL, 100, 6),
        Setup("PostgreSQL, sparse: 5,000 endpoints, an event each", POSTGRESQL, Shape(50, 1), waves=5),
        of("PostgreSQL, fan-out 10, TLS", POSTGRESQL, 10, 60, tls=True, against="PostgreSQL, fan-out 10"),
        of("PostgreSQL, fan-out 10, 2 workers", POSTGRESQL, 10, 90, workers=2, against="PostgreSQL, fan-out 10"),
        of("SQLite, fan-out 1", SQLITE, 1, 400),
        of("SQLite, fan-out 10", SQLITE, 10, 60),
    )


@dataclass(frozen=True)
class Round:
    """What one setup did in one round; CPU microseconds are for each delivery."""

    per_second: float
    ratio: float
    """To wrk's requests a second in the same round."""
    worker_us: float
    database_us: float
    receiver_us: float


def one_round(setup: Setup, kept: Databases, receiver: Nginx, directory: Path) -> Round:
    """A copy of the setup's database, its workers, and what they do until everything is delivered."""
    base = wrk(receiver, directory, head(receiver.url), BODY, WRK_SECONDS)
    trusted = {} if receiver.ca_file is None else {"TOCSIN_CA_FILE": str(receiver.ca_file)}
    with kept.copy(setup.name, directory, **trusted) as installation:
        before = receiver.received()
        workers = [installation.start("worker").pid for _ in range(setup.workers)]
        watched = {"worker": workers, "receiver": [receiver.process.pid], "database": [kept.server_process]}
        wait_for(receiver, before + round(setup.shape.deliveries * (1.0 if setup.waves else WARM)))
        began, warm, used = time.monotonic(), receiver.received(), cpu(watched)
        if setup.waves:
            seconds = rolled(setup, installation, receiver)
        else:
            wait_for(receiver, before + setup.shape.deliveries)
            seconds = time.monotonic() - began
        count = receiver.received() - warm
        time.sleep(0.1)  # the last results are written
        after = cpu(watched)
    each = {name: (after[name] - used[name]) / count * 1e6 for name in watched}
    database_us = each["database"] if setup.engine == POSTGRESQL else 0.0
    return Round(count / seconds, count / seconds / base.per_second, each["worker"], database_us, each["receiver"])


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


def cpu(watched: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Seconds so far."""
    return {
        name: sum(cpu_seconds(one, descendants=name == "database") for one in processes)
        for name, processes in watched.items()
    }


def wait_for(receiver: Nginx, count: int) -> None:
    give_up_at = time.monotonic() + ROUND_SECONDS
    while (so_far := receiver.received()) < count:
        assert time.monotonic() < give_up_at, f"{count - so_far} deliveries are missing"
        time.sleep(POLL_SECONDS)


def table(found: Mapping[Setup, Sequence[Round]]) -> str:
    lines = [
        f"{'setup':<52} {'deliveries/s':>12} {'of wrk (range)':>20} {'worker':>8} {'database':>9} {'both µs':>8}",
    ]
    rates = {setup.name: median(one.per_second for one in rounds) for setup, rounds in found.items()}
    for setup, rounds in found.items():
        ratios = [one.ratio for one in rounds]
        ratio = f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        worker, database = median(one.worker_us for one in rounds), median(one.database_us for one in rounds)
        both = median(one.worker_us + one.database_us for one in rounds)
        against = f"   {rates[setup.name] / rates[setup.against]:.2f} of without" if setup.against in rates else ""
        lines.append(
            f"{setup.name:<52} {rates[setup.name]:>12,.0f} {ratio:>20} {worker:>8.0f} {database:>9.0f} {both:>8.0f}"
            f"{against}"
        )
    return "\n".join(lines)


def run(rounds: int, scale: float, only: str, directory: Path) -> dict[Setup, list[Round]]:
    chosen = [one for one in setups(scale) if only in one.name]
    found: dict[Setup, list[Round]] = {one: [] for one in chosen}
    with (
        databases(directory) as kept,
        nginx(directory / "plain") as plain,
        nginx(directory / "tls", tls=True) as tls,
    ):
        for setup in chosen:
            kept.fill(setup.name, setup.engine, setup.shape, (tls if setup.tls else plain).url)
        for _ in range(rounds):
            for setup in chosen:
                found[setup].append(one_round(setup, kept, tls if setup.tls else plain, directory))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1, help="times as many events")
    parser.add_argument("--only", default="", help="setups whose name has this in it")
    parser.add_argument("--json", type=Path, help="write the rounds there, too")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        found = run(given.rounds, given.scale, given.only, Path(directory))
    print(table(found))
    print(f"{given.rounds} rounds, interleaved, in {time.monotonic() - began:.0f} s")
    if given.json:
        given.json.write_text(json.dumps({one.name: [vars(each) for each in found[one]] for one in found}, indent=1))


if __name__ == "__main__":
    main()

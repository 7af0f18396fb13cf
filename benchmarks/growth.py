"""What a delivery costs as an installation grows: webhooks, events in the log, events that wait; and a worker's memory.

Every setup has 100 organizations (the one with a single webhook: one). Three things grow, each while the others stay:

* webhooks, from 1 to 100,000, each with an endpoint of its own. `busy`: every one of them gets events, fewer each the
  more there are, so that about as much is delivered. `silent`: a thousand get events, the others never do.
* the log, from nothing to a million events that are delivered already; as many new ones come as elsewhere.
* the backlog, to a million events that wait for ten webhooks each; some of them are delivered.

Filled in bulk (`bulk.py`); new events are appended as a change appends them. nginx receives; measured from the first
twentieth delivered on. CPU µs of worker and database for each delivery, and the worker's memory at the end, and at its
most. A database is kept from round to round: what a round delivers is in the log of the next.

    python -m benchmarks.growth [--rounds 3] [--scale 1] [--only NAME] [--json FILE]

--scale 10: ten times the log, the backlog and the webhooks. --scale 0.1: a tenth of them, and of what is delivered.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.processes import Installation

from benchmarks import results
from benchmarks.bulk import Plan, fill
from benchmarks.installations import POSTGRESQL, SQLITE, Databases, appending, databases
from benchmarks.machine import Nginx, cpu_by_part, memory_bytes, nginx, peak_bytes
from benchmarks.results import Document, Round, Rounds, Table, Wanted, interleaved, middle, spread
from benchmarks.throughput import WARM, wait_for

ORGANIZATIONS: Final = 100
DELIVERIES: Final = 20_000
"""In a round of a setup, about; with more busy webhooks than these, one for each."""
LEAST_DELIVERIES: Final = 10_000
LEAST_WAITING: Final = 20_000
"""Events; fewer could be delivered before the last round."""
BASE: Final = 1_000
"""Webhooks where something else grows."""
MOST_OF_ONE: Final = 10_000
"""Events for a single webhook: it is limited by its in-flight limit, and would take long."""


@dataclass(frozen=True)
class Setup:
    """`webhooks`, `silent`: in all organizations together; so are `log` and `backlog`, in events."""

    engine: str
    grows: str
    size: int
    webhooks: int = BASE
    silent: int = 0
    log: int = 0
    backlog: int = 0

    @property
    def name(self) -> str:
        return f"{self.engine}, {self.grows}: {self.size:,}"

    @property
    def organizations(self) -> int:
        return min(ORGANIZATIONS, self.webhooks)

    @property
    def plan(self) -> Plan:
        return Plan(
            organizations=self.organizations,
            webhooks=self.webhooks // self.organizations,
            silent=self.silent // self.organizations,
            events=(self.log or self.backlog) // self.organizations,
            waiting=bool(self.backlog),
        )

    def events(self, deliveries: int) -> int:
        """New ones for each organization."""
        wanted = max(1, round(deliveries / self.webhooks))
        return min(wanted, MOST_OF_ONE) if self.webhooks == 1 else wanted


BUSY: Final = "busy webhooks"
SILENT: Final = "webhooks, 1,000 of them busy"
LOG: Final = "events in the log"
WAITING: Final = "events that wait"


def setups(scale: float) -> tuple[Setup, ...]:
    def many(count: int) -> int:
        """A whole number for each organization."""
        return max(2 * BASE, round(count * scale) // ORGANIZATIONS * ORGANIZATIONS)

    def busy(engine: str, count: int) -> Setup:
        return Setup(engine, BUSY, count, webhooks=count)

    def silent(engine: str) -> Setup:
        count = many(100_000)
        return Setup(engine, SILENT, count, silent=count - BASE)

    def log(engine: str) -> Setup:
        count = many(1_000_000)
        return Setup(engine, LOG, count, log=count)

    def waiting(engine: str, count: int) -> Setup:
        count = max(LEAST_WAITING, many(count))
        return Setup(engine, WAITING, count, backlog=count)

    found = (
        busy(POSTGRESQL, 1),
        busy(POSTGRESQL, BASE),
        busy(POSTGRESQL, many(10_000)),
        busy(POSTGRESQL, many(100_000)),
        silent(POSTGRESQL),
        log(POSTGRESQL),
        waiting(POSTGRESQL, 50_000),
        waiting(POSTGRESQL, 1_000_000),
        busy(SQLITE, BASE),
        silent(SQLITE),
        log(SQLITE),
    )
    return tuple(dict.fromkeys(found))


def one_round(setup: Setup, environment: dict[str, str], kept: Databases, receiver: Nginx, wanted: Wanted) -> Round:
    installation = Installation(wanted.directory, more=environment)
    deliveries = max(LEAST_DELIVERIES, round(DELIVERIES * min(wanted.scale, 1.0)))
    if not setup.backlog:
        events = setup.events(deliveries)
        deliveries = events * setup.webhooks
        with appending(installation) as append:
            append(events)
    try:
        return _delivered(setup, installation, kept, receiver, deliveries)
    finally:
        installation.kill()


def _delivered(setup: Setup, installation: Installation, kept: Databases, receiver: Nginx, deliveries: int) -> Round:
    begun = receiver.received()
    worker = installation.start("worker")
    watched = {"worker": [worker.pid], "database": [kept.server_process], "receiver": [receiver.process.pid]}
    wait_for(receiver, begun + round(deliveries * WARM))
    since, warm, used = time.monotonic(), receiver.received(), cpu_by_part(watched)
    wait_for(receiver, begun + deliveries)
    seconds, count, after = time.monotonic() - since, receiver.received() - warm, cpu_by_part(watched)
    if not setup.backlog:
        time.sleep(0.1)  # the last results are written
        after = cpu_by_part(watched)
    memory = {"resident_mib": memory_bytes(worker.pid) / 2**20, "peak_mib": peak_bytes(worker.pid) / 2**20}
    asyncio.run(installation.stop(worker))
    each = {f"{part}_us": (after[part] - used[part]) / count * 1e6 for part in watched}
    if setup.engine == SQLITE:
        each["database_us"] = 0.0
    return {"deliveries_per_second": count / seconds, **each, **memory}


def measure(wanted: Wanted) -> Rounds:
    chosen = wanted.chosen(setups(wanted.scale), lambda setup: setup.name)
    with databases(wanted.directory) as kept, nginx(wanted.directory / "nginx") as receiver:
        environments = {setup: _filled(setup, kept, receiver) for setup in chosen}
        return interleaved(
            wanted.rounds,
            chosen,
            lambda setup: setup.name,
            lambda setup, _: one_round(setup, environments[setup], kept, receiver, wanted),
        )


def _filled(setup: Setup, kept: Databases, receiver: Nginx) -> dict[str, str]:
    environment, began = kept.new(setup.engine), time.monotonic()
    asyncio.run(fill(environment, setup.plan, receiver.url))
    print(f"filled in {time.monotonic() - began:.0f} s: {setup.name}", flush=True)
    return environment


def smallest(names: Sequence[str], name: str) -> str:
    """The setup that one is compared with: a thousand busy webhooks and an empty log, or the fewest that wait."""
    engine = name.partition(",")[0]
    base = f"{engine}, {WAITING}" if WAITING in name else f"{engine}, {BUSY}: {BASE:,}"
    return next((one for one in names if one.startswith(base)), name)


def tables(document: Document) -> list[Table]:
    columns = ("setup", "deliveries/s", "worker µs", "database µs", "both µs", "to the small one", "worker, MiB (peak)")
    lines = []
    for name, rounds in document.setups.items():
        base = document.setups[smallest(list(document.setups), name)]
        both, least = (middle(some, "worker_us") + middle(some, "database_us") for some in (rounds, base))
        lines.append(
            (
                name,
                spread(rounds, "deliveries_per_second"),
                spread(rounds, "worker_us"),
                spread(rounds, "database_us"),
                f"{both:.0f}",
                f"{both / least:.2f}",
                f"{middle(rounds, 'resident_mib'):.0f} ({middle(rounds, 'peak_mib'):.0f})",
            )
        )
    note = (
        f"CPU µs for each delivery; on SQLite the database is a part of the worker's process. The small one: {BASE:,} "
        "busy webhooks and an empty log; for events that wait, the fewest of them. With more busy webhooks each gets "
        "fewer events: in the end, one."
    )
    return [Table("What a delivery costs as an installation grows", columns, lines, note)]


if __name__ == "__main__":
    results.main(__doc__, measure, tables)

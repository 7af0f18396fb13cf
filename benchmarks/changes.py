"""How many changes a second are accepted, and the CPU time of each: transitions of reports, through HTTP, durable.

Each report goes its whole way: accepted, put on hold, taken up, closed. A closed loop of CONNECTIONS keep-alive
connections from a process of its own, whose time is not counted (`client.py`); nothing delivers meanwhile. Measured
after a warm-up, over the whole walk. API and database CPU each; on SQLite the database is a part of the API's process.

    python -m benchmarks.changes [--rounds 3] [--scale 1] [--only NAME] [--json FILE]
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.processes import Installation, free_port

from benchmarks import results
from benchmarks.bulk import City, Plan, fill
from benchmarks.client import WALK, send, walk
from benchmarks.installations import POSTGRESQL, SQLITE, Databases, databases
from benchmarks.machine import cpu_by_part
from benchmarks.results import Document, Round, Rounds, Table, Wanted, interleaved, middle, spread

CONNECTIONS: Final = 32
CHANGES: Final = 3_000
"""In a round of a setup."""
WARM: Final = 400
"""Changes before, so that statements are prepared and connections made."""
MANY: Final = 100


@dataclass(frozen=True)
class Setup:
    """`organizations`: over how many the changes are spread."""

    engine: str
    organizations: int
    processes: int = 1

    @property
    def name(self) -> str:
        spread_over = f"{self.organizations} organizations" if self.organizations > 1 else "one organization"
        return f"{self.engine}, {spread_over}, {self.processes} API process{'es' if self.processes > 1 else ''}"


SETUPS: Final = (
    Setup(POSTGRESQL, MANY),
    Setup(POSTGRESQL, 1),
    Setup(POSTGRESQL, MANY, processes=2),
    Setup(POSTGRESQL, 1, processes=2),
    Setup(SQLITE, MANY),
    Setup(SQLITE, 1),
)


@dataclass
class Field:
    """A filled database, and the reports of it that nobody has moved yet, organizations taking turns."""

    environment: dict[str, str]
    fresh: list[tuple[str, str]]
    """(token, report)."""

    @classmethod
    def of(cls, environment: dict[str, str], cities: Sequence[City]) -> "Field":
        turns = zip(*(city.reports for city in cities), strict=True)
        pairs = [(city.token, report) for turn in turns for city, report in zip(cities, turn, strict=True)]
        return cls(environment, pairs)

    def take(self, changes: int) -> list[tuple[str, str]]:
        """Reports enough for so many changes."""
        count = -(-changes // len(WALK))
        assert count <= len(self.fresh), "more reports are needed"
        taken, self.fresh = self.fresh[:count], self.fresh[count:]
        return taken


def one_round(setup: Setup, field: Field, kept: Databases, directory: Path, count: int) -> Round:
    """Start the processes, and let the reports walk."""
    installation = Installation(directory, more=field.environment)
    try:
        ports = asyncio.run(_serve(installation, setup.processes))
        for port in ports:
            send([port], CONNECTIONS, walk(field.take(WARM), WARM)).checked()
        watched = {"api": [one.pid for one in installation.processes], "database": [kept.server_process]}
        before = cpu_by_part(watched)
        answers = send(ports, CONNECTIONS, walk(field.take(count), count)).checked()
        after = cpu_by_part(watched)
    finally:
        installation.kill()
    each = {part: (after[part] - before[part]) / count * 1e6 for part in watched}
    database_us = each["database"] if setup.engine == POSTGRESQL else 0.0
    waited = sorted(answered - sent for _, _, sent, answered in answers.changes)
    return {
        "changes_per_second": count / answers.seconds,
        "api_us": each["api"],
        "database_us": database_us,
        "call_p50_ms": waited[len(waited) // 2] * 1000,
    }


async def _serve(installation: Installation, processes: int) -> list[int]:
    ports = []
    for _ in range(processes):
        installation.port = free_port()
        ports.append(installation.port)
        await installation.serve("--no-worker")
    return ports


def measure(wanted: Wanted) -> Rounds:
    chosen = wanted.chosen(SETUPS, lambda setup: setup.name)
    count = wanted.times(CHANGES)
    with databases(wanted.directory) as kept:
        fields = {}
        for key in {(setup.engine, setup.organizations) for setup in chosen}:
            engine, organizations = key
            sharing = [one for one in chosen if (one.engine, one.organizations) == key]
            reports = sum(-(-count // len(WALK)) + one.processes * -(-WARM // len(WALK)) for one in sharing)
            plan = Plan(organizations, reports=-(-reports * wanted.rounds // organizations))
            environment = kept.new(engine) | {"TOCSIN_RATE_LIMITS": "off"}
            fields[key] = Field.of(environment, asyncio.run(fill(environment, plan, "http://127.0.0.1:9000")))

        def one(setup: Setup, _: int) -> Round:
            field = fields[setup.engine, setup.organizations]
            return one_round(setup, field, kept, wanted.directory, count)

        return interleaved(wanted.rounds, chosen, lambda setup: setup.name, one)


def tables(document: Document) -> list[Table]:
    columns = ("setup", "changes/s", "API µs", "database µs", "both µs", "call p50, ms")
    lines = [
        (
            name,
            spread(rounds, "changes_per_second"),
            spread(rounds, "api_us"),
            spread(rounds, "database_us"),
            f"{middle(rounds, 'api_us') + middle(rounds, 'database_us'):,.0f}",
            spread(rounds, "call_p50_ms", ".1f"),
        )
        for name, rounds in document.setups.items()
    ]
    note = (
        f"CPU µs for each change; {CONNECTIONS} connections that always wait for their answer. On SQLite the database "
        "is a part of the API's process."
    )
    return [Table("Accepted changes of reports", columns, lines, note)]


if __name__ == "__main__":
    results.main(__doc__, measure, tables)

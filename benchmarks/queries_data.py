"""A database as `benchmarks.queries` wants it: many reports over many organizations, written in bulk.

Rows are what the service itself would have stored. A tenth of the reports is the largest organization's; feedback comes
in turns over two years, so that no organization's rows lie beside each other.
"""

import asyncio
import json
import random
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from tocsin import app
from tocsin.clock import SECOND
from tocsin.domain.cells import cell_of
from tocsin.domain.ids import uuid7
from tocsin.domain.resources import Point
from tocsin.settings import Settings
from tocsin.storage import schema
from tocsin.storage.migrate import is_sqlite, sqlite_path

BATCH: Final = 20_000
"""Reports made and written at once."""
CATEGORIES: Final = 10
"""Of each organization."""
DISTRICTS: Final = 49
"""Of each organization, 7 by 7, inside one place that holds them all."""
BEGIN: Final = 1_672_531_200 * SECOND
"""2023-01-01."""
SPAN: Final = 730 * 86_400 * SECOND
PUBLIC: Final = 0.2
OPERATIONS: Final = 0.3
"""For each report."""
STATES: Final = (
    ("NEW",) * 15 + ("ACCEPTED",) * 10 + ("ON_HOLD",) * 1 + ("IN_PROGRESS",) * 14 + ("REFUSED",) * 10 + ("CLOSED",) * 50
)
"""As a city has them: most are done."""
WORDS: Final = (
    "lampe", "trottoir", "cassé", "éclairage", "École", "arbre", "rue", "devant", "le", "numéro", "la", "dépôt",
    "sauvage", "poubelle", "pleine", "banc", "fuite", "d'eau", "graffiti", "mur", "panneau", "tombé", "nid", "de",
    "poule", "ÉTEINTE", "depuis", "hier", "square", "Général", "allée", "feu", "rouge", "en", "panne", "côté",
)  # fmt: skip
RARE: Final = "coquelicot"
"""A word in one report of a thousand."""


@dataclass(frozen=True)
class Filled:
    """What the queries ask for, of the largest organization."""

    organization_id: str
    admin_id: str
    category_id: str
    place_id: str
    district_id: str
    activity_id: str
    report_id: str
    latitude: float
    longitude: float
    reports: int


@dataclass(frozen=True)
class _Organization:
    id: str
    south: float
    west: float
    categories: Sequence[str]
    people: Sequence[str]


Row = tuple[Any, ...]


class _Maker:
    def __init__(self, reports: int, organizations: int) -> None:
        self.chance = random.Random(7)
        self.reports = reports
        self.organizations = organizations

    def id(self, at: int) -> str:
        return uuid7(at, self.chance.randbytes(10))

    def text(self) -> str:
        words = self.chance.choices(WORDS, k=self.chance.randint(6, 20))
        if self.chance.random() < 0.001:
            words.append(RARE)
        return " ".join(words)


def _square(west: float, south: float, side: float) -> str:
    east, north = west + side, south + side
    return json.dumps([[[west, south], [east, south], [east, north], [west, north], [west, south]]])


def _directory(make: _Maker, activities: Sequence[str]) -> tuple[list[_Organization], dict[str, list[Row]]]:
    """Everything but feedback, reports and operations."""
    rows: dict[str, list[Row]] = {name: [] for name in ("people", "organizations", "members", "categories", "places")}
    found = []
    for number in range(make.organizations):
        at = BEGIN + number
        one = make.id(at)
        south, west = 40.0 + (number // 10) * 1.0, -5.0 + (number % 10) * 1.0
        rows["organizations"].append((one, f"Ville {number}", "Mairie", activities[number % len(activities)], at, at))
        people = [make.id(at) for _ in range(max(10, make.reports // make.organizations // 20))]
        for index, person in enumerate(people):
            email = f"p{index}@{number}.example.org"
            rows["people"].append((person, email, email, at, f"Zoé {index}", "Lefèvre", at, at))
        for person in people[:20]:
            roles = json.dumps(["ORGANIZATION:ADMIN"] if person == people[0] else ["ORGANIZATION:OPERATOR"])
            rows["members"].append((make.id(at), one, person, roles, at))
        categories = [make.id(at) for _ in range(CATEGORIES)]
        rows["categories"] += [
            (c, one, f"Éclairage {i}", "#ffcc00", "fa-bug", f"C{i}", at, at) for i, c in enumerate(categories)
        ]
        city = make.id(at)
        rows["places"].append(
            (
                city,
                one,
                "Ville",
                "V",
                _square(west, south, 0.7),
                0.0,
                None,
                west,
                south,
                west + 0.7,
                south + 0.7,
                at,
                at,
            )
        )
        for d in range(DISTRICTS):
            w, s = west + (d % 7) * 0.1, south + (d // 7) * 0.1
            rows["places"].append(
                (
                    make.id(at),
                    one,
                    f"Quartier {d}",
                    f"Q{d}",
                    _square(w, s, 0.1),
                    0.0,
                    city,
                    w,
                    s,
                    w + 0.1,
                    s + 0.1,
                    at,
                    at,
                )
            )
        found.append(_Organization(one, south, west, categories, people))
    return found, rows


COLUMNS: Final = {
    "people": ("id", "email", "email_folded", "password_changed_at", "given_name", "family_name", "created_at", "updated_at"),
    "organizations": ("id", "name", "alternate_name", "business_activity_id", "created_at", "updated_at"),
    "members": ("id", "organization_id", "person_id", "roles", "created_at"),
    "categories": ("id", "organization_id", "name", "color", "icon", "identification_number", "created_at", "updated_at"),
    "places": (
        "id", "organization_id", "name", "branch_code", "rings", "elevation", "contained_in_place_id",
        "west", "south", "east", "north", "created_at", "updated_at",
    ),
    "feedbacks": (
        "id", "reporter_id", "state", "public", "description", "category_id", "metadata", "latitude", "longitude",
        "elevation", "checkpoints", "created_at", "cell",
    ),
    "reports": (
        "id", "feedback_id", "organization_id", "state", "description", "identification_number", "tags", "category_id",
        "operations_total", "checkpoints", "created_at", "updated_at", "cell", "public", "reporter_id",
    ),
    "operations": (
        "id", "report_id", "feedback_id", "organization_id", "operator_id", "state", "name", "description",
        "identification_number", "checkpoints", "created_at", "updated_at",
    ),
}  # fmt: skip


def _stretch(make: _Maker, organizations: Sequence[_Organization], begin: int, count: int) -> dict[str, list[Row]]:
    """Feedback with its report and perhaps an operation, one after the other in time."""
    chance = make.chance
    rows: dict[str, list[Row]] = {name: [] for name in ("feedbacks", "reports", "operations")}
    for number in range(begin, begin + count):
        at = BEGIN + SPAN * number // make.reports + chance.randrange(SECOND)
        one = organizations[0 if chance.random() < 0.1 else chance.randrange(1, len(organizations))]
        latitude, longitude = one.south + chance.random() * 0.7, one.west + chance.random() * 0.7
        cell = cell_of(Point(latitude, longitude))
        feedback, report, public = make.id(at), make.id(at), chance.random() < PUBLIC
        reporter, category = chance.choice(one.people), chance.choice(one.categories)
        text, state = make.text(), chance.choice(STATES)
        delivered = json.dumps([["DELIVERED", at, one.id]])
        rows["feedbacks"].append(
            (
                feedback,
                reporter,
                "DELIVERED",
                public,
                text,
                category,
                "{}",
                latitude,
                longitude,
                0.0,
                delivered,
                at,
                cell,
            )
        )
        changed = at + chance.randrange(30 * 86_400 * SECOND)
        entered = json.dumps([["NEW", at, one.id], [state, changed, one.id]])
        with_operation = chance.random() < OPERATIONS
        rows["reports"].append(
            (report, feedback, one.id, state, text, f"CMMS-{number}", "[]", category, int(with_operation), entered, at,
             changed, cell, public, reporter)
        )  # fmt: skip
        if with_operation:
            entered = json.dumps([["NEW", changed, one.id]])
            rows["operations"].append(
                (make.id(changed), report, feedback, one.id, one.people[1], "NEW", "Réparer", text, f"WO-{number}", entered,
                 changed, changed)
            )  # fmt: skip
    return rows


def _batches(make: _Maker, activities: Sequence[str]) -> Iterator[tuple[list[_Organization], dict[str, list[Row]]]]:
    organizations, rows = _directory(make, activities)
    yield organizations, rows
    for begin in range(0, make.reports, BATCH):
        yield organizations, _stretch(make, organizations, begin, min(BATCH, make.reports - begin))


def fill(settings: Settings, reports: int, organizations: int) -> None:
    """Into an empty, migrated database."""
    make = _Maker(reports, organizations)
    activities = asyncio.run(_activities(settings))
    if is_sqlite(settings.database_url):
        connection = sqlite3.connect(sqlite_path(settings.database_url))
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -500000")
        for _, rows in _batches(make, activities):
            for table, some in rows.items():
                marks = ", ".join("?" * len(COLUMNS[table]))
                connection.executemany(f"INSERT INTO {table} ({', '.join(COLUMNS[table])}) VALUES ({marks})", some)
        connection.commit()
        connection.close()
    else:
        asyncio.run(_copy(settings, make, activities))


async def _copy(settings: Settings, make: _Maker, activities: Sequence[str]) -> None:
    connection = await asyncpg.connect(settings.database_url)
    for _, rows in _batches(make, activities):
        for table, some in rows.items():
            await connection.copy_records_to_table(table, records=some, columns=COLUMNS[table])
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


async def _activities(settings: Settings) -> list[str]:
    async with app.open_use_cases(settings, "https://tocsin.example.org") as use_cases:
        return [one.id for one in await use_cases.directory.business_activities()]


assert set(COLUMNS) <= set(schema.metadata.tables)

"""A database as `benchmarks.queries` wants it: many reports over many organizations, written in bulk.

Rows are what the service itself would have stored. A tenth of the reports is the largest organization's; feedback comes
in turns over two years, so that no organization's rows lie beside each other. The same numbers give the same database.
"""

import asyncio
import json
import random
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from tocsin.clock import SECOND
from tocsin.domain.cells import cell_of
from tocsin.domain.ids import uuid7
from tocsin.domain.resources import Point
from tocsin.storage.indexes import listings
from tocsin.storage.migrate import is_sqlite, sqlite_path

BATCH: Final = 20_000
"""Reports made and written at once."""
CATEGORIES: Final = 10
"""Of each organization."""
DISTRICTS: Final = 49
"""Of each organization, 7 by 7, inside one place that holds them all."""
SIDE: Final = 0.7
"""Of that place, in degrees."""
BEGIN: Final = 1_672_531_200 * SECOND
"""2023-01-01."""
SPAN: Final = 730 * 86_400 * SECOND
MONTH: Final = 30 * 86_400 * SECOND
LARGEST: Final = 0.1
"""The largest organization's part of the reports."""
PUBLIC: Final = 0.2
OPERATIONS: Final = 0.3
"""For each report."""
STATES: Final = {"NEW": 15, "ACCEPTED": 10, "ON_HOLD": 1, "IN_PROGRESS": 14, "REFUSED": 10, "CLOSED": 50}
"""As a city has them, in percent: most are done."""
WORDS: Final = (
    *("lampe", "trottoir", "cassé", "éclairage", "École", "arbre", "rue", "devant", "le", "numéro", "la", "dépôt"),
    *("sauvage", "poubelle", "pleine", "banc", "fuite", "d'eau", "graffiti", "mur", "panneau", "tombé", "nid", "de"),
    *("poule", "ÉTEINTE", "depuis", "hier", "square", "Général", "allée", "feu", "rouge", "en", "panne", "côté"),
)
RARE: Final = "coquelicot"
"""In one text of a thousand."""
ACTIVITY_ID: Final = "0190b6a0-0000-7000-8000-000000000001"

Row = tuple[Any, ...]
Rows = dict[str, list[Row]]

COLUMNS: Final = {
    table: tuple(names.split())
    for table, names in {
        "business_activities": "id name alternate_name metadata_schema",
        "people": "id email email_folded password_changed_at given_name family_name created_at updated_at",
        "organizations": "id name alternate_name business_activity_id created_at updated_at",
        "members": "id organization_id person_id roles created_at",
        "categories": "id organization_id name color icon identification_number created_at updated_at",
        "places": "id organization_id name branch_code rings elevation contained_in_place_id west south east north"
        " created_at updated_at",
        "feedbacks": "id reporter_id state public description category_id metadata latitude longitude elevation"
        " checkpoints created_at cell",
        "reports": "id feedback_id organization_id state description identification_number tags category_id"
        " operations_total checkpoints created_at updated_at cell public reporter_id",
        "operations": "id report_id feedback_id organization_id operator_id state name description"
        " identification_number checkpoints created_at updated_at",
    }.items()
}
"""In the order in which rows refer to each other."""


@dataclass
class Organization:
    id: str
    south: float
    west: float
    categories: Sequence[str]
    people: Sequence[str]
    city_id: str
    district_id: str
    report_id: str = ""
    """One of its reports that has an operation."""


class Maker:
    """`organizations`: the first is the largest."""

    def __init__(self, reports: int, organizations: int) -> None:
        self._chance = random.Random(7)
        self.reports = reports
        self.organizations = [self._organization(number) for number in range(organizations)]

    def batches(self) -> Iterator[Rows]:
        yield self._directory()
        for begin in range(0, self.reports, BATCH):
            rows: Rows = {"feedbacks": [], "reports": [], "operations": []}
            for number in range(begin, min(begin + BATCH, self.reports)):
                self._report(rows, number)
            yield rows

    def _id(self, at: int) -> str:
        return uuid7(at, self._chance.randbytes(10))

    def _organization(self, number: int) -> Organization:
        at = BEGIN + number
        return Organization(
            id=self._id(at),
            south=40.0 + number // 10,
            west=-5.0 + number % 10,
            categories=[self._id(at) for _ in range(CATEGORIES)],
            people=[self._id(at) for _ in range(500)],
            city_id=self._id(at),
            district_id=self._id(at),
        )

    def _directory(self) -> Rows:
        """Everything but feedback, reports and operations."""
        names = ("business_activities", "people", "organizations", "members", "categories", "places")
        rows: Rows = {name: [] for name in names}
        rows["business_activities"].append(
            (ACTIVITY_ID, "Buildings", "Bâtiments", '{"required": [], "properties": {}}')
        )
        for number, one in enumerate(self.organizations):
            at = BEGIN + number
            rows["organizations"].append(
                (one.id, f"Ville {number}", "Mairie", ACTIVITY_ID if number % 2 else None, at, at)
            )
            for index, person in enumerate(one.people):
                email = f"p{index}@{number}.example.org"
                rows["people"].append((person, email, email, at, f"Zoé {index}", "Lefèvre", at, at))
                roles = json.dumps(["ORGANIZATION:OPERATOR" if index else "ORGANIZATION:ADMIN"])
                if index % 25 == 0:
                    rows["members"].append((self._id(at), one.id, person, roles, at))
            for index, category in enumerate(one.categories):
                named = (f"Éclairage {index}", "#ffcc00", "fa-bug", f"C{index}")
                rows["categories"].append((category, one.id, *named, at, at))
            rows["places"] += self._places(one, at)
        return rows

    def _places(self, one: Organization, at: int) -> Iterator[Row]:
        yield _place(one.city_id, one.id, None, (one.west, one.south, SIDE), at)
        for number in range(DISTRICTS):
            district = self._id(at) if number else one.district_id
            corner = one.west + number % 7 * SIDE / 7, one.south + number // 7 * SIDE / 7
            yield _place(district, one.id, one.city_id, (*corner, SIDE / 7), at)

    def _report(self, rows: Rows, number: int) -> None:
        """Feedback with its report and perhaps an operation."""
        chance = self._chance
        at = BEGIN + SPAN * number // self.reports + chance.randrange(SECOND)
        others = range(1, len(self.organizations))
        one = self.organizations[0 if chance.random() < LARGEST else chance.choice(others)]
        latitude, longitude = one.south + chance.random() * SIDE, one.west + chance.random() * SIDE
        reporter, category, public = chance.choice(one.people), chance.choice(one.categories), chance.random() < PUBLIC
        feedback, report, text, cell = self._id(at), self._id(at), self._text(), cell_of(Point(latitude, longitude))
        where, entered = (latitude, longitude, 0.0), json.dumps([["DELIVERED", at, one.id]])
        delivered = (feedback, reporter, "DELIVERED", public, text, category, "{}", *where, entered, at, cell)
        rows["feedbacks"].append(delivered)
        state, changed = chance.choices(list(STATES), list(STATES.values()))[0], at + chance.randrange(MONTH)
        operations = int(chance.random() < OPERATIONS)
        entered = json.dumps([["NEW", at, one.id], [state, changed, one.id]])
        named = (state, text, f"CMMS-{number}", "[]", category, operations, entered)
        rows["reports"].append((report, feedback, one.id, *named, at, changed, cell, public, reporter))
        if operations:
            one.report_id = report
            entered = json.dumps([["NEW", changed, one.id]])
            given = (one.people[0], "NEW", "Réparer", text, f"WO-{number}", entered)
            rows["operations"].append((self._id(changed), report, feedback, one.id, *given, changed, changed))

    def _text(self) -> str:
        words = self._chance.choices(WORDS, k=self._chance.randint(6, 20))
        return " ".join([*words, RARE] if self._chance.random() < 0.001 else words)


def _place(
    the_id: str, organization_id: str, parent_id: str | None, square: tuple[float, float, float], at: int
) -> Row:
    west, south, side = square
    east, north = west + side, south + side
    rings = json.dumps([[[west, south], [east, south], [east, north], [west, north], [west, south]]])
    return (the_id, organization_id, "Quartier", "Q1", rings, 0.0, parent_id, west, south, east, north, at, at)


def fill(database_url: str, maker: Maker) -> None:
    """Into an empty, migrated database, without the indexes of lists: migrating again builds those."""
    if is_sqlite(database_url):
        _insert(database_url, maker)
    else:
        asyncio.run(_copy(database_url, maker))


def _insert(database_url: str, maker: Maker) -> None:
    connection = sqlite3.connect(sqlite_path(database_url))
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -500000")
    for index in listings():
        connection.execute(f"DROP INDEX {index.name}")
    for rows in maker.batches():
        for table, some in rows.items():
            marks, names = ", ".join("?" * len(COLUMNS[table])), ", ".join(COLUMNS[table])
            connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", some)  # noqa: S608 # our own
    connection.commit()
    connection.close()


async def _copy(database_url: str, maker: Maker) -> None:
    connection = await asyncpg.connect(database_url)
    for index in listings():
        await connection.execute(f"DROP INDEX {index.name}")
    for rows in maker.batches():
        for table, some in rows.items():
            await connection.copy_records_to_table(table, records=some, columns=COLUMNS[table])
    await connection.close()

"""How long it takes to find the organizations with a place that contains a point, among many places.

Places are blobs of 100 organizations around 20 towns: of each organization one outline, ten districts in a hundred, and
the rest small; so that a point in a town lies in places of several organizations. Points are where people are: near the
towns.
A match is what posting feedback does: one snapshot, one statement, and the shapes that cells left open.
"""

import argparse
import asyncio
import math
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, quantiles
from typing import Any, Final

import asyncpg
from tests.conftest import KEY
from tests.postgres import cluster, database, make_template

from tocsin import app
from tocsin.clock import SystemClock
from tocsin.domain.geometry import Rings
from tocsin.domain.ids import uuid7
from tocsin.domain.place_cells import cover
from tocsin.domain.resources import Point
from tocsin.settings import load
from tocsin.storage import place_index
from tocsin.storage.interface import Storage
from tocsin.storage.migrate import migrate

ORGANIZATIONS: Final = 100
TOWNS: Final = 20
TOWN_DEGREES: Final = 0.1
"""About how far from its middle a town reaches."""
SERVER: Final = {"shared_buffers": "512MB", "max_wal_size": "4GB"}
PERCENT: Final = 100
BOXES_PART: Final = 10
"""Of the points are enough for what is slow."""
DISTRICTS: Final = 10
"""In a hundred places."""

Records = dict[str, list[dict[str, Any]]]


def blob(chance: random.Random, longitude: float, latitude: float, radius: float, points: int) -> Rings:
    """Something round with a ragged border; radius in degrees."""
    ring = []
    for number in range(points):
        angle, distance = 2 * math.pi * number / points, radius * chance.uniform(0.6, 1)
        ring.append((longitude + distance * math.cos(angle), latitude + distance * math.sin(angle)))
    return ((*ring, ring[0]),)


def towns() -> list[tuple[float, float]]:
    """Longitude and latitude of their middles."""
    chance = random.Random(1)
    return [(chance.uniform(-4, 7), chance.uniform(43, 50)) for _ in range(TOWNS)]


def shapes(chance: random.Random, town: tuple[float, float], count: int) -> Iterator[Rings]:
    """The places of one organization."""
    longitude, latitude = town
    yield blob(chance, longitude, latitude, 1.5 * TOWN_DEGREES, 300)
    for number in range(1, count):
        east, north = chance.gauss(0, TOWN_DEGREES / 2), chance.gauss(0, TOWN_DEGREES / 2)
        district = number % PERCENT < DISTRICTS
        radius = chance.uniform(0.01, 0.04) if district else 10 ** chance.uniform(-3.3, -2)
        points = chance.randint(40, 120) if district else chance.randint(4, 40)
        yield blob(chance, longitude + east, latitude + north, radius, points)


def records(places: int) -> Records:
    """Rows by their tables."""
    chance, made = random.Random(2), Records(organizations=[], places=[], place_cells=[])
    middles = towns()
    for number in range(ORGANIZATIONS):
        organization_id = uuid7(0, chance.randbytes(10))
        made["organizations"].append(
            {"id": organization_id, "name": f"Organization {number}", "created_at": 0, "updated_at": 0}
        )
        for rings in shapes(chance, middles[number % TOWNS], places // ORGANIZATIONS):
            place_id = uuid7(0, chance.randbytes(10))
            made["places"].append(_place(place_id, organization_id, rings))
            made["place_cells"] += [
                {"cell": one.number, "place_id": place_id, "whole": one.whole} for one in cover(rings)
            ]
    return made


def _place(place_id: str, organization_id: str, rings: Rings) -> dict[str, Any]:
    return {
        "id": place_id,
        "organization_id": organization_id,
        "name": "Place",
        "rings": str([[list(point) for point in ring] for ring in rings]),
        "created_at": 0,
        "updated_at": 0,
        **place_index.located(rings),
    }


def fill_sqlite(path: Path, made: Records) -> None:
    connection = sqlite3.connect(path)
    for table, rows in made.items():
        columns = list(rows[0])
        marks = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 # names of our own
        connection.executemany(statement, [tuple(row.values()) for row in rows])
    connection.commit()
    connection.close()


async def fill_postgres(url: str, made: Records) -> None:
    connection = await asyncpg.connect(url)
    for table, rows in made.items():
        records_of = [tuple(row.values()) for row in rows]
        await connection.copy_records_to_table(table, columns=list(rows[0]), records=records_of)
    await connection.execute("ANALYZE")
    await connection.close()


def points(count: int) -> list[Point]:
    chance, middles = random.Random(3), towns()
    found = []
    for _ in range(count):
        longitude, latitude = chance.choice(middles)
        east, north = chance.gauss(0, TOWN_DEGREES), chance.gauss(0, TOWN_DEGREES)
        found.append(Point(latitude + north, longitude + east))
    return found


@dataclass(frozen=True)
class Measured:
    milliseconds: Sequence[float]
    cpu_milliseconds: float
    """Of this process, for one match: what is left of the time when nobody else runs."""
    organizations: float
    """That take a point, on average."""

    def percentile(self, percent: int) -> float:
        return quantiles(self.milliseconds, n=100)[percent - 1]


async def measure(storage: Storage, where: Sequence[Point]) -> Measured:
    times, found = [], []
    warm = len(where) // 10  # the first ones, again: what a running service has warm
    used = 0.0
    for number, point in enumerate([*where[:warm], *where]):
        if number == warm:
            used = time.process_time()
        began = time.perf_counter()
        async with storage.read() as tx:
            takers = await place_index.takers(tx, point)
        if number >= warm:
            times.append((time.perf_counter() - began) * 1000)
            found.append(len(takers))
    return Measured(times, (time.process_time() - used) * 1000 / len(where), mean(found))


async def run(environment: dict[str, str], where: Sequence[Point]) -> Measured:
    storage = app.open_storage(load(environment), SystemClock())
    try:
        return await measure(storage, where)
    finally:
        await storage.close()


def without_cells(made: Records) -> Records:
    """As an older version left them: places are found by their bounding boxes."""
    places = [{**row, "area": None} for row in made["places"]]
    return Records(organizations=made["organizations"], places=places)


def on_sqlite(made: Records, where: Sequence[Point]) -> Measured:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "tocsin.db"
        environment = {"TOCSIN_DATABASE_URL": f"sqlite:///{path}"}
        migrate(environment["TOCSIN_DATABASE_URL"])
        fill_sqlite(path, made)
        return asyncio.run(run(environment, where))


def on_postgres(made: Records, where: Sequence[Point]) -> Measured:
    with cluster(**SERVER) as one:
        make_template(one)
        with database(one) as url:
            asyncio.run(fill_postgres(url, made))
            return asyncio.run(run({"TOCSIN_DATABASE_URL": url, "TOCSIN_SECRET_KEY": KEY}, where))


ENGINES: Final = {"SQLite": on_sqlite, "PostgreSQL": on_postgres}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--places", type=int, default=100_000)
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--engine", choices=list(ENGINES), action="append", help="both unless told")
    arguments = parser.parse_args()
    made, where = records(arguments.places), points(arguments.points)
    print(f"{len(made['place_cells']) / len(made['places']):.1f} cells a place; {ORGANIZATIONS} organizations; ms")
    print(f"{'engine':<11} {'found by':<15} {'places':>8} {'p50':>8} {'p95':>8} {'cpu':>8} {'takers':>8}")
    for engine in arguments.engine or ENGINES:
        for index, rows in (("cells", made), ("bounding boxes", without_cells(made))):
            one = ENGINES[engine](rows, where if index == "cells" else where[: len(where) // BOXES_PART])
            cells = f"{one.percentile(50):>8.2f} {one.percentile(95):>8.2f} {one.cpu_milliseconds:>8.2f}"
            print(f"{engine:<11} {index:<15} {len(made['places']):>8} {cells} {one.organizations:>8.1f}", flush=True)


if __name__ == "__main__":
    main()

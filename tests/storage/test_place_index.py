"""Places by where they are: what the index finds is what asking every place finds, with cells and without."""

import math
import random
import sqlite3
from typing import Any

import pytest
from sqlalchemy import delete, update

from tests.api.client import city, person
from tests.conftest import Service, both_engines
from tocsin.domain import geometry
from tocsin.domain.geometry import Rings
from tocsin.domain.resources import Place, Point
from tocsin.service.caller import OPERATOR
from tocsin.storage import place_index, postgres, sqlite
from tocsin.storage.interface import Storage
from tocsin.storage.schema import organizations, place_cells, places

pytestmark = [pytest.mark.anyio, both_engines]

ORGANIZATIONS = 3
PLACES = 12
"""Of each."""
POINTS = 80


def star(chance: random.Random) -> Rings:
    longitude, latitude = chance.uniform(-1, 1), chance.uniform(44, 46)
    radius, corners = 10 ** chance.uniform(-2, 0), chance.randint(3, 12)
    ring = []
    for number in range(corners):
        angle, distance = 2 * math.pi * number / corners, radius * chance.uniform(0.3, 1)
        ring.append((longitude + distance * math.cos(angle), latitude + distance * math.sin(angle)))
    return ((*ring, ring[0]),)


async def fill(service: Service, chance: random.Random) -> list[Place]:
    admin = await person(service.http)
    made = []
    for number in range(ORGANIZATIONS):
        one = await city(admin, f"City {number}", {"type": "Polygon", "coordinates": [[[9, 9], [8, 9], [8, 8]]]})
        for _ in range(PLACES):
            members = {"name": "Star", "branch_code": None, "elevation": 0.0}
            made.append(await service.use_cases.directory.create_place(OPERATOR, one.id, star(chance), members))
    return made


async def compare(storage: Storage, made: list[Place], where: list[Point]) -> None:
    found_some = 0
    async with storage.read() as tx:
        for point in where:
            wanted = {one.id: one.organization_id for one in made if geometry.contains(one.rings, point)}
            found = [place for place, _ in await place_index.containing(tx, point)]
            assert sorted((one.id, one.organization_id) for one in found) == sorted(wanted.items())
            takers = [one.organization_id for one in await place_index.takers(tx, point)]
            assert takers == sorted(set(wanted.values()))
            found_some += bool(wanted)
    assert found_some > len(where) // 4


async def test_the_index_finds_what_asking_every_place_finds(service: Service) -> None:
    chance = random.Random(7)
    storage = service.use_cases.context.storage
    made = await fill(service, chance)
    where = [Point(chance.uniform(43.5, 46.5), chance.uniform(-1.5, 1.5)) for _ in range(POINTS)]
    where += [Point(latitude, longitude) for one in made[:20] for longitude, latitude in one.rings[0]]
    await compare(storage, made, where)

    async def forget_some(tx: Any) -> None:
        ids = [one.id for one in made[::2]]
        await tx.execute(delete(place_cells).where(place_cells.c.place_id.in_(ids)))
        await tx.execute(update(places).where(places.c.id.in_(ids)).values(area=None))

    await storage.write(forget_some)
    await compare(storage, made, where)
    await service.use_cases.housekeeping.index_places()
    await compare(storage, made, where)


async def test_organizations_that_are_disabled_take_nothing(service: Service) -> None:
    chance = random.Random(8)
    storage = service.use_cases.context.storage
    made = await fill(service, chance)
    point = Point(made[0].rings[0][0][1], made[0].rings[0][0][0])

    async def disable(tx: Any) -> None:
        await tx.update(organizations, made[0].organization_id, {"enabled": False})

    async with storage.read() as tx:
        before = {one.organization_id for one in await place_index.takers(tx, point)}
    await storage.write(disable)
    async with storage.read() as tx:
        after = {one.organization_id for one in await place_index.takers(tx, point)}
    assert before - after == {made[0].organization_id}


async def test_a_match_reads_no_table_from_end_to_end(service: Service, engine: str) -> None:
    statements = (place_index._HITS, place_index._AROUND, place_index._INSIDE, place_index._LARGER)
    bounds = place_index.located((((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)),))
    parameters = {**place_index._cells(Point(44, 0)), **bounds, "organization_id": "o", "id": "p"}
    storage: Any = service.use_cases.context.storage
    for statement in statements:
        if engine == "sqlite":
            compiled = statement.compiled(sqlite.DIALECT)

            def plan(connection: sqlite3.Connection, text: str, arguments: Any) -> list[str]:
                return [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", arguments)]

            lines = await storage.read_call(plan, compiled.text, compiled.arguments(parameters))
            assert lines
            assert not [one for one in lines if one.startswith("SCAN")], lines
        else:
            compiled = statement.compiled(postgres.DIALECT)
            async with storage.connection() as connection, connection.transaction():
                await connection.execute("SET LOCAL enable_seqscan = off")
                rows = await connection.fetch(f"EXPLAIN {compiled.text}", *compiled.arguments(parameters))
            text = "\n".join(row[0] for row in rows)
            assert "Index" in text
            assert "Seq Scan on place" not in text, text

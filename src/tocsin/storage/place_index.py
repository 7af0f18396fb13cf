"""Places by where they are: around a point, of every organization at once; around and inside one another, of one.

A place is written with its cells (`domain/place_cells.py`) and its area. One without an area comes from a node that
knows no cells yet, or from before there were any: it is found by its bounding box, until housekeeping has given it
cells.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import and_, bindparam, case, delete, insert, null, or_, select, union_all, update

from tocsin.domain import geometry
from tocsin.domain.matching import Candidate
from tocsin.domain.nesting import Area, Rank, rank
from tocsin.domain.place_cells import CELLS_MAX, LEVEL_MAX, cells_at, cover
from tocsin.domain.resources import Point
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.schema import organizations, place_cells, places
from tocsin.storage.statements import Query

BATCH: Final = 20
"""Places given cells in one transaction."""
IDS_MAX: Final = 500
"""In one statement."""

_AT = place_cells.c.cell.in_([bindparam(f"cell{level}") for level in range(LEVEL_MAX + 1)])
_UNINDEXED_AT = and_(
    places.c.area.is_(None),
    places.c.west <= bindparam("longitude"),
    places.c.east >= bindparam("longitude"),
    places.c.south <= bindparam("latitude"),
    places.c.north >= bindparam("latitude"),
)
_INDEXED = place_cells.join(places, places.c.id == place_cells.c.place_id)
_OWNER = organizations.c.id == places.c.organization_id
_HIT = (places.c.id, places.c.organization_id, organizations.c.business_activity_id)
_HITS = Query(
    union_all(
        select(*_HIT, case((place_cells.c.whole, null()), else_=places.c.rings).label("rings"))
        .select_from(_INDEXED.join(organizations, _OWNER))
        .where(_AT, organizations.c.enabled),
        select(*_HIT, places.c.rings)
        .select_from(places.join(organizations, _OWNER))
        .where(_UNINDEXED_AT, organizations.c.enabled),
    )
)
_AREA = (places.c.id, places.c.rings, places.c.contained_in_place_id)
_OF_ORGANIZATION = and_(places.c.organization_id == bindparam("organization_id"), places.c.id != bindparam("id"))
_AROUND = Query(
    union_all(
        select(*_AREA).select_from(_INDEXED).where(_AT, _OF_ORGANIZATION),
        select(*_AREA).where(_UNINDEXED_AT, _OF_ORGANIZATION),
    )
)
_CHILDREN = Query(select(*_AREA).where(places.c.contained_in_place_id == bindparam("id")))
_LARGER = Query(
    select(*_AREA).where(
        _OF_ORGANIZATION,
        places.c.west <= bindparam("east"),
        places.c.east >= bindparam("west"),
        places.c.south <= bindparam("north"),
        places.c.north >= bindparam("south"),
        or_(places.c.area.is_(None), places.c.area >= bindparam("area")),
    )
)
_PARENT = places.alias("parent")
_INSIDE = Query(
    select(*_AREA, _PARENT.c.area.label("parent_area"))
    .select_from(places.outerjoin(_PARENT, _PARENT.c.id == places.c.contained_in_place_id))
    .where(
        _OF_ORGANIZATION,
        places.c.west.between(bindparam("west"), bindparam("east")),
        places.c.east <= bindparam("east"),
        places.c.south >= bindparam("south"),
        places.c.north <= bindparam("north"),
        or_(_PARENT.c.area.is_(None), _PARENT.c.area >= bindparam("area")),
    )
)
_RINGS = Query(select(places.c.rings).where(places.c.id == bindparam("id")))
_REMOVE_CELLS = Query(delete(place_cells).where(place_cells.c.place_id == bindparam("place_id")))
_INSERT_CELLS = {
    count: Query(
        insert(place_cells).values(
            [
                {
                    "cell": bindparam(f"cell{index}"),
                    "place_id": bindparam("place_id"),
                    "whole": bindparam(f"whole{index}"),
                }
                for index in range(count)
            ]
        )
    )
    for count in range(1, CELLS_MAX + 1)
}
"""By how many there are: one statement, and not one for each."""
_UNINDEXED = Query(
    select(places.c.id, places.c.rings)
    .where(places.c.area.is_(None))
    .limit(BATCH)
    .with_for_update(skip_locked=True, key_share=True)
)


@dataclass(frozen=True, slots=True)
class Found:
    """A place that contains a point."""

    id: str
    organization_id: str


def rings_of(text: str) -> geometry.Rings:
    """As a row has them."""
    return tuple(tuple((longitude, latitude) for longitude, latitude in ring) for ring in orjson.loads(text))


# Writing


def located(rings: geometry.Rings) -> dict[str, Any]:
    """The columns of a place that follow from its shape."""
    west, south, east, north = geometry.bounds(rings)
    return {"west": west, "south": south, "east": east, "north": north, "area": geometry.area(rings)}


async def write_cells(tx: Writing, place_id: str, rings: geometry.Rings) -> None:
    """In the stead of those that the place has."""
    await tx.execute(_REMOVE_CELLS, place_id=place_id)
    cells = cover(rings)
    numbers = {f"cell{index}": cell.number for index, cell in enumerate(cells)}
    wholes = {f"whole{index}": cell.whole for index, cell in enumerate(cells)}
    await tx.execute(_INSERT_CELLS[len(cells)], place_id=place_id, **numbers, **wholes)


async def index_some(tx: Writing) -> int:
    """Give cells to places that have none, at most BATCH; returns how many. Two at once take different ones."""
    rows = await tx.rows(_UNINDEXED)
    for row in rows:
        rings = rings_of(row["rings"])
        await write_cells(tx, row["id"], rings)
        await tx.update(places, row["id"], {"area": geometry.area(rings)})
    return len(rows)


async def set_parents(tx: Writing, parents: Mapping[str, str | None]) -> None:
    """The parent of each place, by ids."""
    for parent_id in set(parents.values()):
        ids = sorted(place_id for place_id, parent in parents.items() if parent == parent_id)
        for start in range(0, len(ids), IDS_MAX):
            some = places.c.id.in_(ids[start : start + IDS_MAX])
            await tx.execute(update(places).where(some).values(contained_in_place_id=parent_id))


# Around a point


async def takers(tx: Reading, point: Point) -> list[Candidate]:
    """The enabled organizations with a place that contains the point, oldest first."""
    candidates: dict[str, Candidate] = {}
    for row in _cheapest_first(await _hits(tx, point)):
        organization_id = row["organization_id"]
        if organization_id not in candidates and _holds(row, point):
            candidates[organization_id] = Candidate(organization_id, row["business_activity_id"])
    return [candidates[organization_id] for organization_id in sorted(candidates)]


async def containing(tx: Reading, point: Point) -> list[tuple[Found, str | None]]:
    """Places of enabled organizations that contain the point, each with its organization's business activity."""
    return [
        (Found(row["id"], row["organization_id"]), row["business_activity_id"])
        for row in await _hits(tx, point)
        if _holds(row, point)
    ]


async def _hits(tx: Reading, point: Point) -> Sequence[Row]:
    """Each place at most once, with the rings that decide; none where its cells have decided."""
    return await tx.rows(_HITS, **_cells(point))


def _cells(point: Point) -> dict[str, Any]:
    probes: dict[str, Any] = {f"cell{level}": cell for level, cell in enumerate(cells_at(point))}
    return {**probes, "longitude": point.longitude, "latitude": point.latitude}


def _cheapest_first(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: len(row["rings"] or ""))


def _holds(row: Row, point: Point) -> bool:
    return row["rings"] is None or geometry.contains(orjson.loads(row["rings"]), point)


# Around and inside one another


async def around(tx: Reading, organization_id: str, one: Area) -> list[Area]:
    """At least all places of the organization that hold the place: they hold a corner of it."""
    longitude, latitude = one.rings[0][0]
    return _areas(
        await tx.rows(_AROUND, **_cells(Point(latitude, longitude)), organization_id=organization_id, id=one.id)
    )


async def children(tx: Reading, place_id: str) -> list[Area]:
    return _areas(await tx.rows(_CHILDREN, id=place_id))


async def larger(tx: Reading, organization_id: str, one: Area) -> list[Area]:
    """At least all places of the organization that reach into the place and are no smaller."""
    return _areas(await tx.rows(_LARGER, organization_id=organization_id, id=one.id, **located(one.rings)))


async def inside(tx: Reading, organization_id: str, one: Area) -> tuple[list[Area], dict[str, Rank]]:
    """At least all places of the organization that lie in the place, without those whose parent is smaller than it.

    With the ranks of their parents.
    """
    rows = await tx.rows(_INSIDE, organization_id=organization_id, id=one.id, **located(one.rings))
    ranks: dict[str, Rank] = {}
    for row in rows:
        parent_id = row["contained_in_place_id"]
        if parent_id is not None and parent_id not in ranks:
            ranks[parent_id] = rank(row["parent_area"] or await _size(tx, parent_id), parent_id)
    return _areas(rows), ranks


async def _size(tx: Reading, place_id: str) -> float:
    row = await tx.row(_RINGS, id=place_id)
    assert row is not None, "a parent is a place"
    return geometry.area(rings_of(row["rings"]))


def _areas(rows: Iterable[Row]) -> list[Area]:
    """Their rings are lists, as they were decoded: there may be thousands."""
    return [Area(row["id"], orjson.loads(row["rings"]), row["contained_in_place_id"]) for row in rows]

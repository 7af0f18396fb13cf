"""Categories, business activities and places; and which places contain a point."""

import json
from collections.abc import Iterable

from sqlalchemy import ColumnElement, bindparam, select, update

from tocsin.domain import geometry
from tocsin.domain.page import Page, Paging
from tocsin.domain.resources import BusinessActivity, Category, Place, Point
from tocsin.storage.collections import page
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.schema import business_activities, categories, organizations, places
from tocsin.storage.statements import Query

_CATEGORY = Query(select(categories).where(categories.c.id == bindparam("id")))
_PLACE = Query(select(places).where(places.c.id == bindparam("id")))
_ACTIVITY = Query(select(business_activities).where(business_activities.c.id == bindparam("id")))
_ACTIVITIES = Query(select(business_activities).order_by(business_activities.c.name))
_AROUND = Query(
    select(places, organizations.c.business_activity_id)
    .join(organizations, organizations.c.id == places.c.organization_id)
    .where(
        places.c.west <= bindparam("longitude"),
        places.c.east >= bindparam("longitude"),
        places.c.south <= bindparam("latitude"),
        places.c.north >= bindparam("latitude"),
        organizations.c.enabled,
    )
)


def category(row: Row) -> Category:
    return Category(
        id=row["id"],
        organization_id=row["organization_id"],
        name=row["name"],
        color=row["color"],
        icon=row["icon"],
        identification_number=row["identification_number"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def place(row: Row) -> Place:
    return Place(
        id=row["id"],
        organization_id=row["organization_id"],
        name=row["name"],
        branch_code=row["branch_code"],
        rings=rings(row["rings"]),
        elevation=row["elevation"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        contained_in_place_id=row["contained_in_place_id"],
    )


def rings(text: str) -> geometry.Rings:
    return tuple(tuple((longitude, latitude) for longitude, latitude in ring) for ring in json.loads(text))


def business_activity(row: Row) -> BusinessActivity:
    return BusinessActivity(row["id"], row["name"], row["alternate_name"], json.loads(row["metadata_schema"]))


# Business activities


async def find_activity(tx: Reading, activity_id: str) -> BusinessActivity | None:
    row = await tx.row(_ACTIVITY, id=activity_id)
    return None if row is None else business_activity(row)


async def activities(tx: Reading) -> list[BusinessActivity]:
    """All of them: they are few, and seeded."""
    return [business_activity(row) for row in await tx.rows(_ACTIVITIES)]


async def insert_activity(tx: Writing, one: BusinessActivity) -> None:
    await tx.insert(
        business_activities,
        {
            "id": one.id,
            "name": one.name,
            "alternate_name": one.alternate_name,
            "metadata_schema": json.dumps(one.metadata_schema),
        },
    )


# Categories


async def find_category(tx: Reading, category_id: str) -> Category | None:
    row = await tx.row(_CATEGORY, id=category_id)
    return None if row is None else category(row)


async def insert_category(tx: Writing, one: Category) -> None:
    await tx.insert(
        categories,
        {
            "id": one.id,
            "organization_id": one.organization_id,
            "name": one.name,
            "color": one.color,
            "icon": one.icon,
            "identification_number": one.identification_number,
            "created_at": one.created_at,
            "updated_at": one.updated_at,
        },
    )


async def categories_page(tx: Reading, conditions: list[ColumnElement[bool]], paging: Paging) -> Page[Category]:
    return await page(tx, categories, conditions, paging, category)


# Places


async def find_place(tx: Reading, place_id: str) -> Place | None:
    row = await tx.row(_PLACE, id=place_id)
    return None if row is None else place(row)


async def insert_place(tx: Writing, one: Place) -> None:
    west, south, east, north = geometry.bounds(one.rings)
    await tx.insert(
        places,
        {
            "id": one.id,
            "organization_id": one.organization_id,
            "name": one.name,
            "branch_code": one.branch_code,
            "rings": json.dumps(one.rings),
            "elevation": one.elevation,
            "contained_in_place_id": one.contained_in_place_id,
            "west": west,
            "south": south,
            "east": east,
            "north": north,
            "created_at": one.created_at,
            "updated_at": one.updated_at,
        },
    )


async def overlapping(tx: Reading, organization_id: str, rings: geometry.Rings) -> list[Place]:
    """The organization's places whose bounding box touches that of the rings."""
    west, south, east, north = geometry.bounds(rings)
    statement = select(places).where(
        places.c.organization_id == organization_id,
        places.c.west <= east,
        places.c.east >= west,
        places.c.south <= north,
        places.c.north >= south,
    )
    return [place(row) for row in await tx.rows(statement)]


async def set_parent(tx: Writing, place_ids: Iterable[str], parent_id: str) -> None:
    statement = update(places).where(places.c.id.in_(list(place_ids))).values(contained_in_place_id=parent_id)
    await tx.execute(statement)


async def places_page(tx: Reading, conditions: list[ColumnElement[bool]], paging: Paging) -> Page[Place]:
    return await page(tx, places, conditions, paging, place)


async def containing(tx: Reading, point: Point) -> list[tuple[Place, str | None]]:
    """Places of enabled organizations that contain the point, each with its organization's business activity.

    Bounding boxes choose candidates in the database, shapes decide.
    """
    rows = await tx.rows(_AROUND, longitude=point.longitude, latitude=point.latitude)
    found = [(place(row), row["business_activity_id"]) for row in rows]
    return [(one, activity_id) for one, activity_id in found if geometry.contains(one.rings, point)]

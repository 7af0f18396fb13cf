"""Categories, business activities and places. Where places are: `place_index.py`."""

import json
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select

from tocsin.domain.page import Page, Paging
from tocsin.domain.resources import BusinessActivity, Category, Place
from tocsin.storage import place_index
from tocsin.storage.collections import page
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.schema import business_activities, categories, places
from tocsin.storage.statements import Query

_CATEGORY = Query(select(categories).where(categories.c.id == bindparam("id")))
_PLACE = Query(select(places).where(places.c.id == bindparam("id")))
_ACTIVITY = Query(select(business_activities).where(business_activities.c.id == bindparam("id")))
_ACTIVITIES = Query(select(business_activities).order_by(business_activities.c.name))
_PLACE_LOCKED = Query(select(places).where(places.c.id == bindparam("id")).with_for_update(key_share=True))
_PLACES_OF = Query(
    select(func.count().label("n")).select_from(places).where(places.c.organization_id == bindparam("organization_id"))
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
        rings=place_index.rings_of(row["rings"]),
        elevation=row["elevation"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        contained_in_place_id=row["contained_in_place_id"],
    )


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


async def set_schema(tx: Writing, activity_id: str, schema: dict[str, Any]) -> None:
    await tx.update(business_activities, activity_id, {"metadata_schema": json.dumps(schema)})


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


async def find_place(tx: Reading, place_id: str, *, lock: bool = False) -> Place | None:
    row = await tx.row(_PLACE_LOCKED if lock else _PLACE, id=place_id)
    return None if row is None else place(row)


async def places_count(tx: Reading, organization_id: str) -> int:
    row = await tx.row(_PLACES_OF, organization_id=organization_id)
    assert row is not None, "a count is a row"
    return int(row["n"])


async def insert_place(tx: Writing, one: Place) -> None:
    """With its cells."""
    await tx.insert(
        places,
        {
            "id": one.id,
            "organization_id": one.organization_id,
            "contained_in_place_id": one.contained_in_place_id,
            "created_at": one.created_at,
            **_changing(one),
            **_shaped(one),
        },
    )
    await place_index.write_cells(tx, one.id, one.rings)


async def save_place(tx: Writing, one: Place, *, shaped: bool) -> None:
    """`shaped`: with its shape, and the cells that follow from it."""
    await tx.update(places, one.id, {**_changing(one), **(_shaped(one) if shaped else {})})
    if shaped:
        await place_index.write_cells(tx, one.id, one.rings)


def _changing(one: Place) -> dict[str, object]:
    return {
        "name": one.name,
        "branch_code": one.branch_code,
        "elevation": one.elevation,
        "updated_at": one.updated_at,
    }


def _shaped(one: Place) -> dict[str, object]:
    return {"rings": json.dumps(one.rings), **place_index.located(one.rings)}


async def places_page(tx: Reading, conditions: list[ColumnElement[bool]], paging: Paging) -> Page[Place]:
    return await page(tx, places, conditions, paging, place)


containing = place_index.containing

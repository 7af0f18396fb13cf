"""What lists of organizations, categories and places are narrowed by, as conditions."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, not_, or_, select

from tocsin.domain.areas import Polygon
from tocsin.domain.cells import Box, span_box
from tocsin.domain.wanted import OrganizationsWanted, PlacesWanted
from tocsin.storage.collections import search
from tocsin.storage.interface import Reading
from tocsin.storage.place_index import containing, rings_of
from tocsin.storage.schema import organizations, places

Condition = ColumnElement[bool]


async def organizations_are(tx: Reading, column: ColumnElement[Any], wanted: OrganizationsWanted) -> list[Condition]:
    """Of a column with an organization's id."""
    found: list[Condition] = []
    if wanted.organization_id is not None:
        found.append(column == wanted.organization_id)
    if wanted.business_activity_id is not None:
        found.append(column.in_(_of_activity(wanted.business_activity_id)))
    for point in wanted.points:
        around = await containing(tx, point)
        found.append(column.in_(sorted({place.organization_id for place, _ in around})))
    return found


def _of_activity(activity_id: str) -> Any:
    return select(organizations.c.id).where(organizations.c.business_activity_id == activity_id)


async def activities_of(tx: Reading, wanted: OrganizationsWanted) -> set[str | None]:
    """The business activities of organizations."""
    conditions = await organizations_are(tx, organizations.c.id, wanted)
    rows = await tx.rows(select(organizations.c.business_activity_id).where(*conditions).distinct())
    return {row["business_activity_id"] for row in rows}


async def places_are(tx: Reading, wanted: PlacesWanted) -> list[Condition]:
    columns, found = places.c, search(places, wanted.search)
    if wanted.organization_id is not None:
        found.append(columns.organization_id == wanted.organization_id)
    if wanted.business_activity_id is not None:
        found.append(columns.organization_id.in_(_of_activity(wanted.business_activity_id)))
    if wanted.parents:
        found.append(columns.contained_in_place_id.in_(wanted.parents))
    if wanted.elevation is not None:
        found.append(columns.elevation == wanted.elevation)
    for point in wanted.points:
        found.append(columns.id.in_(sorted({place.id for place, _ in await containing(tx, point)})))
    if wanted.hashes:
        found.append(await _touching(tx, [span_box(span) for span in wanted.hashes], list(found)))
    return found


async def _touching(tx: Reading, boxes: Sequence[Box], others: Sequence[Condition]) -> Condition:
    """Places that touch one of the boxes. Whose bounding box lies in one does; where it reaches over the border of one,
    the shape decides, if the other conditions are met."""
    inside = or_(*(_inside(box) for box in boxes))
    crossing = select(places.c.id, places.c.rings).where(*others, or_(*(_near(box) for box in boxes)), not_(inside))
    rows = await tx.rows(crossing)
    touching = [row["id"] for row in rows if Polygon(rings_of(row["rings"])).touches(boxes)]
    return or_(inside, places.c.id.in_(touching))


def _inside(box: Box) -> Condition:
    return and_(
        places.c.west >= box.west,
        places.c.east <= box.east,
        places.c.south >= box.south,
        places.c.north <= box.north,
    )


def _near(box: Box) -> Condition:
    return and_(
        places.c.west <= box.east,
        places.c.east >= box.west,
        places.c.south <= box.north,
        places.c.north >= box.south,
    )

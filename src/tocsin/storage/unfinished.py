"""What lists are narrowed by, filled in where it is not: in rows from before, and in those of an older node.

Until then, such feedback and its reports are missing from lists of an area, and from those of an organization's
feedback; nowhere else.
"""

from typing import Any, Final

from sqlalchemy import select

from tocsin.domain.cells import cell_of
from tocsin.domain.resources import Point
from tocsin.storage.interface import Row, Writing
from tocsin.storage.schema import feedbacks, reports
from tocsin.storage.statements import Query

BATCH: Final = 500
"""Rows filled in by one transaction."""

_POINT: Final = (feedbacks.c.latitude, feedbacks.c.longitude)
_FEEDBACK: Final = Query(
    select(feedbacks.c.id, *_POINT).where(feedbacks.c.cell.is_(None)).order_by(feedbacks.c.id).limit(BATCH)
)
_REPORTS: Final = Query(
    select(reports.c.id, *_POINT, feedbacks.c.public, feedbacks.c.reporter_id)
    .join(feedbacks, feedbacks.c.id == reports.c.feedback_id)
    .where(reports.c.cell.is_(None))
    .order_by(reports.c.id)
    .limit(BATCH)
)


async def finish(tx: Writing) -> int:
    """Fill in some; returns how many. 0: there are none left."""
    feedback = await tx.rows(_FEEDBACK)
    for row in feedback:
        await tx.update(feedbacks, row["id"], {"cell": _cell(row)})
    of_reports = await tx.rows(_REPORTS)
    for row in of_reports:
        values: dict[str, Any] = {"cell": _cell(row), "public": row["public"], "reporter_id": row["reporter_id"]}
        await tx.update(reports, row["id"], values)
    return len(feedback) + len(of_reports)


def _cell(row: Row) -> int:
    return cell_of(Point(row["latitude"], row["longitude"]))

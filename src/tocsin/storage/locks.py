"""Locking a resource before it is read, in the one order of locks: feedback, reports, operations, each by id.

For a precondition: what is compared must not change until the use case has changed it. The use cases take the same
locks, in the same order, when their turn comes.
"""

from typing import Final

from sqlalchemy import Table, bindparam, select

from tocsin.storage.interface import Writing
from tocsin.storage.schema import (
    categories,
    feedbacks,
    images,
    members,
    operations,
    organizations,
    people,
    places,
    replays,
    reports,
    tokens,
    webhooks,
)
from tocsin.storage.statements import Query

TABLES: Final[dict[str, Table]] = {
    "category": categories,
    "feedback": feedbacks,
    "image": images,
    "member": members,
    "operation": operations,
    "organization": organizations,
    "person": people,
    "place": places,
    "replay": replays,
    "report": reports,
    "token": tokens,
    "webhook": webhooks,
}
"""By the name of the variable in a path."""

_LOCK: Final = {
    kind: Query(select(table.c.id).where(table.c.id == bindparam("id")).with_for_update())
    for kind, table in TABLES.items()
}
_FEEDBACK_OF: Final = Query(select(reports.c.feedback_id.label("id")).where(reports.c.id == bindparam("id")))
_REPORT_OF: Final = Query(select(operations.c.report_id.label("id")).where(operations.c.id == bindparam("id")))
_BEFORE: Final = {"report": ("feedback", _FEEDBACK_OF), "operation": ("report", _REPORT_OF)}
"""What is locked before it."""


async def lock(tx: Writing, kind: str, the_id: str) -> None:
    """Nothing where there is none."""
    if kind in _BEFORE:
        before, of = _BEFORE[kind]
        row = await tx.row(of, id=the_id)
        if row is not None:
            await lock(tx, before, row["id"])
    await tx.rows(_LOCK[kind], id=the_id)

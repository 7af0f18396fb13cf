"""Feedback, reports and operations: their rows. Locks are taken in this order, each by id."""

import json
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import bindparam, delete, func, select

from tocsin.domain.cells import cell_of
from tocsin.domain.page import Page, Paging
from tocsin.domain.resources import Feedback, Operation, Point, Progression, Report
from tocsin.domain.states import FeedbackState, OperationState, ReportState
from tocsin.storage.collections import Branch, checkpoints, checkpoints_text, page_of
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.partners import with_delegates
from tocsin.storage.schema import feedbacks, operations, reports
from tocsin.storage.statements import Query

_FEEDBACK = Query(
    select(
        feedbacks,
        func.coalesce(func.sum(reports.c.operations_resolved), 0).label("resolved"),
        func.coalesce(func.sum(reports.c.operations_total), 0).label("total"),
    )
    .select_from(feedbacks.outerjoin(reports, reports.c.feedback_id == feedbacks.c.id))
    .where(feedbacks.c.id == bindparam("id"))
    .group_by(feedbacks.c.id)
)
_LOCK_FEEDBACK = Query(select(feedbacks.c.id).where(feedbacks.c.id == bindparam("id")).with_for_update())
_REPORT = Query(select(reports).where(reports.c.id == bindparam("id")))
_REPORT_LOCKED = Query(select(reports).where(reports.c.id == bindparam("id")).with_for_update())
_OF_FEEDBACK = Query(
    select(reports).where(reports.c.feedback_id == bindparam("feedback_id")).order_by(reports.c.id).with_for_update()
)
_OPERATION = Query(select(operations).where(operations.c.id == bindparam("id")))
_OPERATION_LOCKED = Query(select(operations).where(operations.c.id == bindparam("id")).with_for_update())
_REMOVE_OPERATION = Query(delete(operations).where(operations.c.id == bindparam("id")))


# Feedback


def feedback(row: Row, progression: Progression) -> Feedback:
    return Feedback(
        id=row["id"],
        reporter_id=row["reporter_id"],
        state=FeedbackState(row["state"]),
        public=bool(row["public"]),
        point=Point(row["latitude"], row["longitude"]),
        elevation=row["elevation"],
        created_at=row["created_at"],
        checkpoints=checkpoints(row["checkpoints"]),
        progression=progression,
        description=row["description"],
        category_id=row["category_id"],
        business_activity_id=row["business_activity_id"],
        pro_mode=bool(row["pro_mode"]),
        metadata=json.loads(row["metadata"]),
        images=tuple(json.loads(row["images"])),
    )


async def find_feedback(tx: Reading, feedback_id: str) -> Feedback | None:
    row = await tx.row(_FEEDBACK, id=feedback_id)
    return None if row is None else feedback(row, Progression(row["resolved"], row["total"]))


async def lock_feedback(tx: Reading, feedback_id: str) -> None:
    await tx.rows(_LOCK_FEEDBACK, id=feedback_id)


async def insert_feedback(tx: Writing, one: Feedback) -> None:
    await tx.insert(
        feedbacks,
        {
            "id": one.id,
            "reporter_id": one.reporter_id,
            "state": one.state,
            "public": one.public,
            "description": one.description,
            "category_id": one.category_id,
            "business_activity_id": one.business_activity_id,
            "pro_mode": one.pro_mode,
            "metadata": json.dumps(one.metadata),
            "latitude": one.point.latitude,
            "longitude": one.point.longitude,
            "elevation": one.elevation,
            "cell": cell_of(one.point),
            "checkpoints": checkpoints_text(one.checkpoints),
            "created_at": one.created_at,
        },
    )


async def save_feedback_images(tx: Writing, one: Feedback) -> None:
    await tx.update(feedbacks, one.id, {"images": json.dumps(one.images)})


async def feedbacks_page(tx: Reading, branches: Sequence[Branch], paging: Paging) -> Page[Feedback]:
    found = await page_of(tx, feedbacks, branches, paging, lambda row: feedback(row, Progression(0, 0)))
    ids = [one.id for one in found.items]
    counts = (
        select(
            reports.c.feedback_id,
            func.sum(reports.c.operations_resolved).label("resolved"),
            func.sum(reports.c.operations_total).label("total"),
        )
        .where(reports.c.feedback_id.in_(ids))
        .group_by(reports.c.feedback_id)
    )
    counted = {row["feedback_id"]: Progression(row["resolved"], row["total"]) for row in await tx.rows(counts)}
    return found.map(lambda one: _with(one, counted.get(one.id, one.progression)))


def _with(one: Feedback, progression: Progression) -> Feedback:
    return replace(one, progression=progression)


# Reports


def report(row: Row) -> Report:
    return Report(
        id=row["id"],
        feedback_id=row["feedback_id"],
        organization_id=row["organization_id"],
        state=ReportState(row["state"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        checkpoints=checkpoints(row["checkpoints"]),
        progression=Progression(row["operations_resolved"], row["operations_total"]),
        description=row["description"],
        identification_number=row["identification_number"],
        priority=row["priority"],
        tags=tuple(json.loads(row["tags"])),
        category_id=row["category_id"],
        delegated_from=row["delegated_from"],
        delegated_to=row["delegated_to"],
    )


async def find_report(tx: Reading, report_id: str, *, lock: bool = False) -> Report | None:
    """With its delegates: while it is locked, nobody is added to them."""
    row = await tx.row(_REPORT_LOCKED if lock else _REPORT, id=report_id)
    return None if row is None else await with_delegates(tx, report(row))


async def reports_of(tx: Reading, feedback_id: str) -> tuple[Report, ...]:
    """Locked, by id, with their delegates."""
    rows = await tx.rows(_OF_FEEDBACK, feedback_id=feedback_id)
    return tuple([await with_delegates(tx, report(row)) for row in rows])


async def insert_report(tx: Writing, one: Report, of: Feedback) -> None:
    await tx.insert(
        reports,
        {
            "id": one.id,
            "feedback_id": one.feedback_id,
            "organization_id": one.organization_id,
            **_changing(one),
            "description": one.description,
            "category_id": one.category_id,
            "priority": one.priority,
            "tags": json.dumps(one.tags),
            "cell": cell_of(of.point),
            "public": of.public,
            "reporter_id": of.reporter_id,
            "created_at": one.created_at,
        },
    )


async def save_report(tx: Writing, one: Report) -> None:
    """What a transition or an operation of it changes."""
    await tx.update(reports, one.id, _changing(one))


async def save_report_members(tx: Writing, one: Report) -> None:
    """What a PATCH changes."""
    values = {
        "description": one.description,
        "identification_number": one.identification_number,
        "priority": one.priority,
        "tags": json.dumps(one.tags),
        "category_id": one.category_id,
        "updated_at": one.updated_at,
    }
    await tx.update(reports, one.id, values)


async def save_delegation(tx: Writing, one: Report) -> None:
    """What a delegation changes."""
    values = {"delegated_from": one.delegated_from, "delegated_to": one.delegated_to, "updated_at": one.updated_at}
    await tx.update(reports, one.id, values)


def _changing(one: Report) -> dict[str, object]:
    return {
        "state": one.state,
        "operations_total": one.progression.total,
        "operations_resolved": one.progression.resolved,
        "checkpoints": checkpoints_text(one.checkpoints),
        "updated_at": one.updated_at,
    }


async def reports_page(tx: Reading, branches: Sequence[Branch], paging: Paging) -> Page[Report]:
    """To be shown: without their delegates."""
    return await page_of(tx, reports, branches, paging, report)


# Operations


def operation(row: Row) -> Operation:
    return Operation(
        id=row["id"],
        report_id=row["report_id"],
        feedback_id=row["feedback_id"],
        organization_id=row["organization_id"],
        state=OperationState(row["state"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        checkpoints=checkpoints(row["checkpoints"]),
        name=row["name"],
        description=row["description"],
        identification_number=row["identification_number"],
        duration=row["duration"],
        start_date=row["start_date"],
        operator_id=row["operator_id"],
        images=tuple(json.loads(row["images"])),
    )


async def find_operation(tx: Reading, operation_id: str, *, lock: bool = False) -> Operation | None:
    row = await tx.row(_OPERATION_LOCKED if lock else _OPERATION, id=operation_id)
    return None if row is None else operation(row)


async def insert_operation(tx: Writing, one: Operation) -> None:
    await tx.insert(
        operations,
        {
            "id": one.id,
            "report_id": one.report_id,
            "feedback_id": one.feedback_id,
            "organization_id": one.organization_id,
            **_saved(one),
            "created_at": one.created_at,
        },
    )


async def save_operation(tx: Writing, one: Operation) -> None:
    await tx.update(operations, one.id, _saved(one))


def _saved(one: Operation) -> dict[str, object]:
    return {
        "operator_id": one.operator_id,
        "state": one.state,
        "name": one.name,
        "description": one.description,
        "identification_number": one.identification_number,
        "duration": one.duration,
        "start_date": one.start_date,
        "checkpoints": checkpoints_text(one.checkpoints),
        "updated_at": one.updated_at,
        "images": json.dumps(one.images),
    }


async def remove_operation(tx: Writing, operation_id: str) -> None:
    await tx.execute(_REMOVE_OPERATION, id=operation_id)


async def operations_page(tx: Reading, branches: Sequence[Branch], paging: Paging) -> Page[Operation]:
    return await page_of(tx, operations, branches, paging, operation)

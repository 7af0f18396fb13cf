"""Comments, contributions, and the log of an operation. Streams are read from a cursor on, newest first."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Select, bindparam, delete, func, insert, select

from tocsin.clock import SECOND
from tocsin.domain.activities import Activity, ActivityGroup, LogAction, LogEntry, Verb
from tocsin.domain.page import Page, Paging
from tocsin.storage.collections import page
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.schema import comments, contributions, operation_logs
from tocsin.storage.statements import Query

DAY: Final = 86_400 * SECOND
GROUP_ACTIVITIES_MAX: Final = 10
"""Of one group: its newest."""

_REMOVE_COMMENTS = Query(delete(comments).where(comments.c.resource_id == bindparam("resource_id")))
_CONTRIBUTION = Query(
    select(contributions.c.created_at).where(
        contributions.c.feedback_id == bindparam("feedback_id"), contributions.c.person_id == bindparam("person_id")
    )
)
_NEXT_VERSION = (
    select(func.coalesce(func.max(operation_logs.c.version), 0) + 1)
    .where(operation_logs.c.operation_id == bindparam("operation_id"))
    .scalar_subquery()
)
_LOG = Query(
    insert(operation_logs).values(
        operation_id=bindparam("operation_id"),
        version=_NEXT_VERSION,
        action=bindparam("action"),
        actor=bindparam("actor"),
        data=bindparam("data"),
        created_at=bindparam("created_at"),
    )
)
_REMOVE_LOG = Query(delete(operation_logs).where(operation_logs.c.operation_id == bindparam("operation_id")))


# Comments


async def insert_comment(tx: Writing, resource_type: str, resource_id: str, actor: str, text: str, now: int) -> None:
    row = {
        "resource_type": resource_type,
        "resource_id": resource_id,
        "actor": actor,
        "text": text,
        "created_at": now,
    }
    await tx.insert(comments, row)


async def comments_of(
    tx: Reading, resource_id: str, below: int | None, limit: int
) -> tuple[Sequence[Activity], int | None]:
    """At most `limit`, and the cursor of those that follow; `below`: a cursor."""
    statement = select(comments).where(comments.c.resource_id == resource_id)
    if below is not None:
        statement = statement.where(comments.c.id < below)
    rows = await tx.rows(statement.order_by(comments.c.id.desc()).limit(limit + 1))
    return [_comment(row) for row in rows[:limit]], rows[limit - 1]["id"] if len(rows) > limit else None


def _comment(row: Row) -> Activity:
    about = f"{row['resource_type'].lower()}:{row['resource_id']}"
    return Activity(row["actor"], Verb.COMMENT, about, row["text"], row["created_at"])


async def remove_comments(tx: Writing, resource_id: str) -> None:
    await tx.execute(_REMOVE_COMMENTS, resource_id=resource_id)


# Contributions


async def has_contributed(tx: Reading, feedback_id: str, person_id: str) -> bool:
    return await tx.row(_CONTRIBUTION, feedback_id=feedback_id, person_id=person_id) is not None


async def insert_contribution(tx: Writing, feedback_id: str, person_id: str, now: int) -> None:
    await tx.insert(contributions, {"feedback_id": feedback_id, "person_id": person_id, "created_at": now})


async def contributions_to(
    tx: Reading, feedback_id: str, below: int | None, limit: int
) -> tuple[Sequence[ActivityGroup], int | None]:
    """By the day, at most `limit` days, and the cursor of those that follow; a cursor is a day since 1970."""
    rows = await tx.rows(_days(feedback_id, below, limit + 1))
    if not rows:
        return (), None
    days = [row["day"] for row in rows[:limit]]
    newest: dict[int, list[Activity]] = {day: [] for day in days}
    for row in await tx.rows(_newest(feedback_id, days[-1], days[0])):
        newest[row["day"]].append(_contribution(feedback_id, row))
    groups = [_group(feedback_id, row, newest[row["day"]]) for row in rows[:limit]]
    return groups, days[-1] if len(rows) > limit else None


def _days(feedback_id: str, below: int | None, limit: int) -> Select[Any]:
    at = contributions.c.created_at
    day = (at // DAY).label("day")
    counts = (func.count().label("count"), func.min(at).label("first"), func.max(at).label("last"))
    statement = select(day, *counts).where(contributions.c.feedback_id == feedback_id)
    if below is not None:
        statement = statement.where(at < below * DAY)
    return statement.group_by(day).order_by(day.desc()).limit(limit)


def _newest(feedback_id: str, first_day: int, last_day: int) -> Select[Any]:
    """The newest few of each of the days."""
    at = contributions.c.created_at
    place = func.row_number().over(partition_by=at // DAY, order_by=(at.desc(), contributions.c.person_id))
    numbered = (
        select(contributions.c.person_id, at, (at // DAY).label("day"), place.label("place"))
        .where(contributions.c.feedback_id == feedback_id)
        .where(at >= first_day * DAY, at < (last_day + 1) * DAY)
        .subquery()
    )
    return select(numbered).where(numbered.c.place <= GROUP_ACTIVITIES_MAX).order_by(numbered.c.day, numbered.c.place)


def _contribution(feedback_id: str, row: Row) -> Activity:
    return Activity(f"person:{row['person_id']}", Verb.CONTRIBUTE, f"feedback:{feedback_id}", "", row["created_at"])


def _group(feedback_id: str, row: Row, newest: list[Activity]) -> ActivityGroup:
    return ActivityGroup(
        object=f"feedback:{feedback_id}",
        verb=Verb.CONTRIBUTE,
        day=datetime.fromtimestamp(row["day"] * DAY // SECOND, UTC).date().isoformat(),
        activities=tuple(newest),
        activity_count=row["count"],
        actor_count=row["count"],  # a person contributes once
        created_at=row["first"],
        updated_at=row["last"],
    )


# The log of an operation


async def log(tx: Writing, operation_id: str, action: LogAction, actor: str, data: Mapping[str, Any], now: int) -> None:
    """The operation's next version; whoever changes the operation holds its lock."""
    await tx.execute(
        _LOG, operation_id=operation_id, action=action.value, actor=actor, data=json.dumps(data), created_at=now
    )


async def log_page(tx: Reading, operation_id: str, paging: Paging) -> Page[LogEntry]:
    return await page(tx, operation_logs, [operation_logs.c.operation_id == operation_id], paging, _entry)


def _entry(row: Row) -> LogEntry:
    return LogEntry(
        operation_id=row["operation_id"],
        version=row["version"],
        action=LogAction(row["action"]),
        actor=row["actor"],
        at=row["created_at"],
        data=json.loads(row["data"]),
    )


async def remove_log(tx: Writing, operation_id: str) -> None:
    await tx.execute(_REMOVE_LOG, operation_id=operation_id)

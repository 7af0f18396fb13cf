"""Pages of an organization's log, in its order."""

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from tocsin.storage.interface import Reading, Row
from tocsin.storage.records import LoggedEvent
from tocsin.storage.schema import events, logs
from tocsin.storage.statements import Query

_LOG = Query(select(logs).where(logs.c.organization_id == bindparam("organization_id")))
_EVENT = Query(select(events).where(events.c.id == bindparam("id")))


async def log(tx: Reading, organization_id: str) -> Row | None:
    """`sequence` of the newest event, and `oldest_sequence` that retention has left."""
    return await tx.row(_LOG, organization_id=organization_id)


async def page(
    tx: Reading, organization_id: str, *, after: int, limit: int, event: str | None
) -> Sequence[LoggedEvent]:
    """In the order of sequences, gap-free: what is appended later never comes before what was read."""
    statement = select(events).where(events.c.organization_id == organization_id, events.c.sequence > after)
    if event is not None:
        statement = statement.where(events.c.event == event)
    rows = await tx.rows(statement.order_by(events.c.sequence).limit(limit))
    return [logged(row) for row in rows]


async def find(tx: Reading, event_id: str) -> LoggedEvent | None:
    row = await tx.row(_EVENT, id=event_id)
    return None if row is None else logged(row)


def logged(row: Row) -> LoggedEvent:
    return LoggedEvent(
        row["organization_id"],
        row["sequence"],
        row["event"],
        row["ordinal"],
        row["id"],
        row["resource_id"],
        row["occurred_at"],
        bytes(row["body"]),
        row["erased_at"],
    )

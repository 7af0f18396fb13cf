"""Replays: a second cursor over a range of what a webhook has behind it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, delete, func, or_, select, update

from tocsin.domain.page import Page, Paging
from tocsin.storage.collections import page
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.schema import ReplayState, RetryState, attempts, events, replays, retries
from tocsin.storage.statements import Query

ACTIVE = (RetryState.RETRYING, RetryState.HELD, RetryState.PAUSED)

_REPLAY = Query(select(replays).where(replays.c.id == bindparam("id"), replays.c.webhook_id == bindparam("webhook_id")))
_RUNNING = Query(
    select(func.count().label("found")).where(
        replays.c.webhook_id == bindparam("webhook_id"), replays.c.state == ReplayState.RUNNING.value
    )
)
_REMOVE = Query(delete(replays).where(replays.c.webhook_id == bindparam("webhook_id")))
_OF_RUNNING = and_(replays.c.webhook_id == bindparam("of"), replays.c.state == ReplayState.RUNNING.value)
_MOVE = Query(
    update(replays).where(_OF_RUNNING).values(endpoint_id=bindparam("new_endpoint_id"), revision=replays.c.revision + 1)
)
_ENDED = {
    "state": ReplayState.STOPPED.value,
    "revision": replays.c.revision + 1,
    "updated_at": bindparam("now"),
}
_STOP = Query(update(replays).where(_OF_RUNNING).values(_ENDED))
_STOP_ONE = Query(update(replays).where(_OF_RUNNING, replays.c.id == bindparam("only")).values(_ENDED))
_STOPPED = select(replays.c.id).where(
    replays.c.webhook_id == bindparam("webhook_id"), replays.c.state == ReplayState.STOPPED.value
)
_FORGET_PARKED = Query(
    delete(retries).where(retries.c.webhook_id == bindparam("webhook_id"), retries.c.replay_id.in_(_STOPPED))
)
_WAITING = or_(*(retries.c.state == state.value for state in ACTIVE))
_PARKED = Query(
    select(
        func.coalesce(func.sum(case((_WAITING, 1), else_=0)), 0).label("waiting"),
        func.coalesce(func.sum(case((retries.c.state == RetryState.FAILED.value, 1), else_=0)), 0).label("failed"),
    ).where(retries.c.webhook_id == bindparam("webhook_id"), retries.c.replay_id == bindparam("replay_id"))
)


def _failed(webhook_id: str) -> ColumnElement[bool]:
    """That an event was given up for a webhook, and not delivered by a replay since."""
    parked = select(retries.c.sequence).where(
        retries.c.webhook_id == webhook_id,
        retries.c.sequence == events.c.sequence,
        retries.c.replay_id == "",
        retries.c.state == RetryState.FAILED.value,
    )
    delivered = select(attempts.c.id).where(
        attempts.c.webhook_id == webhook_id, attempts.c.sequence == events.c.sequence, attempts.c.delivered
    )
    return and_(parked.exists(), ~delivered.exists())


async def ordinals(tx: Reading, webhook: Row, start: ColumnElement[bool], end: ColumnElement[bool]) -> Row:
    """`first` and `last` ordinal of the webhook's events between two conditions, up to its cursor; None: no event."""
    row = await tx.row(
        select(func.min(events.c.ordinal).label("first"), func.max(events.c.ordinal).label("last")).where(
            events.c.organization_id == webhook["organization_id"],
            events.c.event == webhook["event"],
            events.c.ordinal <= webhook["cursor"],
            start,
            end,
        )
    )
    assert row is not None
    return row


async def count_failed(tx: Reading, webhook_id: str, organization_id: str, event: str, first: int, last: int) -> int:
    """How many events from `first` to `last` ordinal were given up for the webhook."""
    row = await tx.row(
        select(func.count().label("found"))
        .select_from(events)
        .where(
            events.c.organization_id == organization_id,
            events.c.event == event,
            events.c.ordinal.between(first, last),
            _failed(webhook_id),
        )
    )
    assert row is not None
    return int(row["found"])


async def running(tx: Reading, webhook_id: str) -> int:
    row = await tx.row(_RUNNING, webhook_id=webhook_id)
    assert row is not None
    return int(row["found"])


async def insert(tx: Writing, values: Mapping[str, Any]) -> None:
    await tx.insert(replays, values)


async def find(tx: Reading, webhook_id: str, replay_id: str) -> Row | None:
    return await tx.row(_REPLAY, id=replay_id, webhook_id=webhook_id)


async def rows_page(tx: Reading, webhook_id: str, paging: Paging) -> Page[Row]:
    return await page(tx, replays, [replays.c.webhook_id == webhook_id], paging, lambda row: row)


async def progress(tx: Reading, row: Row) -> tuple[int, int]:
    """How many of a replay's deliveries are delivered or given up, and how many of those were given up."""
    parked = await tx.row(_PARKED, webhook_id=row["webhook_id"], replay_id=row["id"])
    assert parked is not None
    failed = int(parked["failed"])
    if row["state"] == ReplayState.DONE.value:
        return int(row["total"]), failed
    ahead = row["last_ordinal"] - row["cursor"]
    if row["only_failed"]:
        log = (row["organization_id"], row["event"])
        ahead = await count_failed(tx, row["webhook_id"], *log, row["cursor"] + 1, row["last_ordinal"])
    return max(0, row["total"] - ahead - parked["waiting"]), failed


async def stop(tx: Writing, webhook_id: str, now: int, only: str | None = None) -> int:
    """End the running replays of a webhook, or one of them, and forget what waits for them; returns how many."""
    if only is None:
        stopped = await tx.execute(_STOP, of=webhook_id, now=now)
    else:
        stopped = await tx.execute(_STOP_ONE, of=webhook_id, only=only, now=now)
    if stopped:
        await tx.execute(_FORGET_PARKED, webhook_id=webhook_id)
    return stopped


async def move(tx: Writing, webhook_id: str, endpoint_id: str) -> None:
    """The webhook went to another endpoint: its replays go with it."""
    await tx.execute(_MOVE, of=webhook_id, new_endpoint_id=endpoint_id)


async def remove(tx: Writing, webhook_id: str) -> None:
    await tx.execute(_REMOVE, webhook_id=webhook_id)

"""Replays: what a webhook has behind it, sent again, in order, beside what comes."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, true

from tocsin.domain.audit import Action
from tocsin.domain.errors import Conflict, Invalid, NotFound, Violation
from tocsin.domain.events import Event
from tocsin.domain.page import Page, Paging
from tocsin.domain.resources import Replay
from tocsin.domain.roles import Permission
from tocsin.service.audit import record
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.service.webhooks import seen
from tocsin.storage import replays as stored
from tocsin.storage import webhooks
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.schema import ReplayState, events

RUNNING: Final = ReplayState.RUNNING.value
RUNNING_MAX: Final = 10
"""Replays of one webhook that run at once."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the log: an event's sequence, or a moment in microseconds. Both ends of a range are inclusive."""

    sequence: int | None = None
    moment: int | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """What a replay would send: ordinals of the webhook's event type, and how many events; 0: nothing."""

    first: int
    last: int
    total: int


class Replays:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def count(
        self, caller: Caller, webhook_id: str, start: Place, end: Place | None, *, only_failed: bool
    ) -> Range:
        """What a replay would send; nothing is changed."""
        async with self._context.storage.read() as tx:
            row = await seen(tx, caller, webhook_id)
            caller.require(Permission.MANAGE_WEBHOOKS, row["organization_id"])
            return await _range(tx, row, start, end, only_failed=only_failed)

    async def start(
        self, caller: Caller, webhook_id: str, start: Place, end: Place | None, *, only_failed: bool
    ) -> Replay:
        """Raises Conflict for a disabled webhook, or where too many replays of it run."""
        replay_id = self._context.new_id()

        async def insert(tx: Writing) -> Replay:
            row = await seen(tx, caller, webhook_id, lock=True)
            caller.require(Permission.MANAGE_WEBHOOKS, row["organization_id"])
            if not row["enabled"]:
                raise Conflict("The webhook is disabled.")
            if await stored.running(tx, webhook_id) >= RUNNING_MAX:
                raise Conflict(f"At most {RUNNING_MAX} replays of a webhook run at once.")
            found = await _range(tx, row, start, end, only_failed=only_failed)
            now = self._context.clock.now()
            values = {
                "id": replay_id,
                "webhook_id": webhook_id,
                "organization_id": row["organization_id"],
                "endpoint_id": row["endpoint_id"],
                "event": row["event"],
                "first_ordinal": found.first,
                "last_ordinal": found.last,
                "cursor": found.first - 1,
                "only_failed": only_failed,
                "total": found.total,
                "state": (ReplayState.RUNNING if found.total else ReplayState.DONE).value,
                "created_at": now,
                "updated_at": now,
            }
            await stored.insert(tx, values)
            await webhooks.wake(tx, row["endpoint_id"], now)
            details = {"replay": replay_id, "onlyFailed": only_failed, "total": found.total}
            subject = f"webhook:{webhook_id}"
            await record(self._context, tx, caller, Action.REPLAY_STARTED, row["organization_id"], subject, **details)
            return await _found(tx, webhook_id, replay_id)

        return await self._context.storage.write(insert)

    async def page(self, caller: Caller, webhook_id: str, paging: Paging) -> Page[Replay]:
        async with self._context.storage.read() as tx:
            await seen(tx, caller, webhook_id)
            rows = await stored.rows_page(tx, webhook_id, paging)
            return Page([await _replay(tx, row) for row in rows.items], rows.total, paging)

    async def get(self, caller: Caller, webhook_id: str, replay_id: str) -> Replay:
        async with self._context.storage.read() as tx:
            await seen(tx, caller, webhook_id)
            return await _found(tx, webhook_id, replay_id)

    async def stop(self, caller: Caller, webhook_id: str, replay_id: str) -> None:
        """Nothing more of it is sent; what is in flight finishes. One that ended already stays as it is."""

        async def stop(tx: Writing) -> None:
            row = await seen(tx, caller, webhook_id, lock=True)
            caller.require(Permission.MANAGE_WEBHOOKS, row["organization_id"])
            await _found(tx, webhook_id, replay_id)
            now = self._context.clock.now()
            if await stored.stop(tx, webhook_id, now, replay_id):
                await webhooks.wake(tx, row["endpoint_id"], now)
                subject, organization_id = f"webhook:{webhook_id}", row["organization_id"]
                await record(
                    self._context, tx, caller, Action.REPLAY_STOPPED, organization_id, subject, replay=replay_id
                )

        await self._context.storage.write(stop)


async def _range(tx: Reading, webhook: Row, start: Place, end: Place | None, *, only_failed: bool) -> Range:
    """What lies ahead of the webhook's cursor comes anyway: a replay ends there."""
    until = true() if end is None else _condition(end, last=True)
    found = await stored.ordinals(tx, webhook, _condition(start, last=False), until)
    if found["first"] is None:
        if end is not None and _after(start, end):
            raise Invalid(Violation("to", "This is before from."))
        return Range(1, 0, 0)
    first, last = found["first"], found["last"]
    total = last - first + 1
    if only_failed:
        total = await stored.count_failed(tx, webhook["id"], webhook["organization_id"], webhook["event"], first, last)
    return Range(first, last, total)


def _condition(place: Place, *, last: bool) -> ColumnElement[bool]:
    column, value = (
        (events.c.sequence, place.sequence) if place.sequence is not None else (events.c.occurred_at, place.moment)
    )
    return column <= value if last else column >= value


def _after(start: Place, end: Place) -> bool:
    if start.sequence is not None and end.sequence is not None:
        return start.sequence > end.sequence
    return start.moment is not None and end.moment is not None and start.moment > end.moment


async def _found(tx: Reading, webhook_id: str, replay_id: str) -> Replay:
    row = await stored.find(tx, webhook_id, replay_id)
    if row is None:
        raise NotFound("There is no such replay.")
    return await _replay(tx, row)


async def _replay(tx: Reading, row: Row) -> Replay:
    done, failed = await stored.progress(tx, row)
    return Replay(
        id=row["id"],
        webhook_id=row["webhook_id"],
        event=Event(row["event"]),
        first_ordinal=row["first_ordinal"],
        last_ordinal=row["last_ordinal"],
        only_failed=bool(row["only_failed"]),
        total=row["total"],
        done=done,
        failed=failed,
        state=row["state"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )

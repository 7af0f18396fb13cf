"""What age takes: events that nobody waits for any more, with their attempts; and, at the last limit, those that
somebody does. A log loses only its oldest part, so that what is left of it has no gap.

Everything here runs in small transactions, over and over, whoever does it: two at once do each other no harm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, delete, func, null, or_, select, update

from tocsin.clock import SECOND
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.schema import (
    ReplayState,
    RetryState,
    chores,
    endpoints,
    events,
    logs,
    password_links,
    replays,
    retries,
    skips,
    webhooks,
)
from tocsin.storage.statements import Query
from tocsin.storage.webhooks import promote, wake

BATCH: Final = 500
"""Events removed in one transaction."""

WAITING: Final = [state.value for state in (RetryState.RETRYING, RetryState.HELD, RetryState.PAUSED)]

_OLDEST = and_(events.c.organization_id == logs.c.organization_id, events.c.sequence == logs.c.oldest_sequence)
_OLD_LOGS = Query(
    select(logs)
    .select_from(logs.join(events, _OLDEST))
    .where(events.c.occurred_at < bindparam("moment"))
    .order_by(logs.c.organization_id)
)
_OCCURRED = Query(
    select(events.c.occurred_at).where(
        events.c.organization_id == bindparam("organization_id"), events.c.sequence == bindparam("sequence")
    )
)
_BEGIN_CHORE = Query(
    update(chores)
    .where(chores.c.name == bindparam("name"))
    .where(or_(chores.c.begun_at <= bindparam("due"), chores.c.begun_at > bindparam("now")))
    .values(begun_at=bindparam("now"))
)


@dataclass(frozen=True, slots=True)
class Loss:
    """Events that were removed before a webhook had them; ordinals of its event type, both inclusive."""

    webhook_id: str
    endpoint_id: str
    event: str
    first: int
    last: int
    count: int


async def begin_chore(tx: Writing, name: str, now: int, seconds: float) -> bool:
    """Whether it is due: nobody, on any node, has begun it in the last `seconds`. Then we have, and nobody else."""
    return await tx.execute(_BEGIN_CHORE, name=name, now=now, due=now - round(seconds * SECOND)) > 0


async def old_logs(tx: Reading, moment: int) -> Sequence[Row]:
    """Those whose oldest event occurred before `moment`."""
    return await tx.rows(_OLD_LOGS, moment=moment)


async def first_since(tx: Reading, log: Row, moment: int) -> int:
    """The oldest sequence of a log that occurred at `moment` or later; one beyond its newest where there is none."""
    low, high = log["oldest_sequence"], log["sequence"] + 1
    while low < high:
        middle = (low + high) // 2
        row = await tx.row(_OCCURRED, organization_id=log["organization_id"], sequence=middle)
        if row is None or row["occurred_at"] < moment:
            low = middle + 1
        else:
            high = middle
    return int(low)


async def needed(tx: Reading, organization_id: str) -> int | None:
    """The oldest sequence that a webhook or a running replay of the organization still has to deliver."""
    next_of_webhook = _next_of(webhooks.c.organization_id, webhooks.c.event, webhooks.c.cursor)
    behind = select(func.min(events.c.sequence)).select_from(webhooks.join(events, next_of_webhook))
    next_of_replay = _next_of(replays.c.organization_id, replays.c.event, replays.c.cursor)
    replayed = (
        select(func.min(events.c.sequence))
        .select_from(replays.join(events, next_of_replay))
        .where(replays.c.state == ReplayState.RUNNING.value, replays.c.cursor < replays.c.last_ordinal)
    )
    parked = select(func.min(retries.c.sequence)).where(
        retries.c.organization_id == organization_id, retries.c.state.in_(WAITING)
    )
    row = await tx.row(
        select(
            behind.where(webhooks.c.organization_id == organization_id).scalar_subquery().label("behind"),
            replayed.where(replays.c.organization_id == organization_id).scalar_subquery().label("replayed"),
            parked.scalar_subquery().label("parked"),
        )
    )
    assert row is not None
    return min((one for one in (row["behind"], row["replayed"], row["parked"]) if one is not None), default=None)


def _next_of(organization: ColumnElement[str], event: ColumnElement[str], cursor: ColumnElement[int]) -> Any:
    """The event after a cursor. A cursor lies within the log or at its head: nothing was removed beyond it."""
    return and_(events.c.organization_id == organization, events.c.event == event, events.c.ordinal == cursor + 1)


async def remove_events(tx: Writing, organization_id: str, until: int) -> int:
    """Remove the oldest events under the sequence `until` that nobody needs, at most BATCH; returns how many."""
    await _lock(tx, organization_id)
    log = await tx.row(select(logs).where(logs.c.organization_id == organization_id).with_for_update())
    assert log is not None, "every organization has a log"
    oldest, wanted = int(log["oldest_sequence"]), await needed(tx, organization_id)
    below = min(until, oldest + BATCH, log["sequence"] + 1, until if wanted is None else wanted)
    if below <= oldest:
        return 0
    await tx.execute(delete(events).where(events.c.organization_id == organization_id, events.c.sequence < below))
    await tx.execute(delete(retries).where(retries.c.organization_id == organization_id, retries.c.sequence < below))
    await tx.execute(update(logs).where(logs.c.organization_id == organization_id).values(oldest_sequence=below))
    return int(below) - oldest


async def _lock(tx: Writing, organization_id: str) -> Sequence[Row]:
    """The organization's webhooks: no redelivery and no replay of what is about to go begins meanwhile."""
    mine = select(webhooks).where(webhooks.c.organization_id == organization_id)
    return await tx.rows(mine.order_by(webhooks.c.id).with_for_update())


async def give_up(tx: Writing, organization_id: str, until: int, now: int) -> list[Loss]:
    """Take from every webhook what lies under the sequence `until` and is not delivered; returns what that was.

    Cursors go beyond it, what is parked of it goes, replays that have not passed it end.
    """
    losses = []
    for row in await _lock(tx, organization_id):
        loss = await _loss(tx, row, until)
        if loss is not None:
            losses.append(loss)
            values = {"cursor": max(row["cursor"], loss.last), "lost": row["lost"] + loss.count}
            await tx.update(webhooks, row["id"], {**values, "revision": row["revision"] + 1, "epoch": row["epoch"] + 1})
    of_organization = retries.c.organization_id == organization_id
    await tx.execute(delete(retries).where(of_organization, retries.c.sequence < until, retries.c.state.in_(WAITING)))
    await _end_replays(tx, organization_id, until, now)
    for loss in losses:
        await wake_up(tx, loss.endpoint_id, now)
    return losses


async def wake_up(tx: Writing, endpoint_id: str, now: int) -> None:
    """What waited behind something that is gone waits no more."""
    await promote(tx, endpoint_id, now)
    await wake(tx, endpoint_id, now)


async def _end_replays(tx: Writing, organization_id: str, until: int, now: int) -> None:
    gone = select(func.max(events.c.ordinal)).where(
        events.c.organization_id == organization_id, events.c.event == replays.c.event, events.c.sequence < until
    )
    running = (replays.c.organization_id == organization_id, replays.c.state == ReplayState.RUNNING.value)
    ahead = (replays.c.cursor < gone.scalar_subquery(), replays.c.cursor < replays.c.last_ordinal)
    ended = {"state": ReplayState.STOPPED.value, "revision": replays.c.revision + 1, "updated_at": now}
    await tx.execute(update(replays).where(*running, *ahead).values(ended))
    stopped = select(replays.c.id).where(
        replays.c.organization_id == organization_id, replays.c.state == ReplayState.STOPPED.value
    )
    await tx.execute(
        delete(retries).where(retries.c.organization_id == organization_id, retries.c.replay_id.in_(stopped))
    )


async def _loss(tx: Reading, webhook: Row, until: int) -> Loss | None:
    newest = select(func.max(events.c.ordinal)).where(
        events.c.organization_id == webhook["organization_id"],
        events.c.event == webhook["event"],
        events.c.sequence < until,
    )
    parked = (
        retries.c.webhook_id == webhook["id"],
        retries.c.replay_id == "",
        retries.c.ordinal <= webhook["cursor"],
        retries.c.sequence < until,
        retries.c.state.in_(WAITING),
    )
    row = await tx.row(
        select(
            newest.scalar_subquery().label("newest"),
            select(func.count()).where(*parked).scalar_subquery().label("parked"),
            select(func.min(retries.c.ordinal)).where(*parked).scalar_subquery().label("first_parked"),
        )
    )
    assert row is not None
    cursor, newest_ordinal = webhook["cursor"], row["newest"] or 0
    ahead = max(0, newest_ordinal - cursor)
    if not ahead and not row["parked"]:
        return None
    first = row["first_parked"] if row["parked"] else cursor + 1
    return Loss(
        webhook["id"],
        webhook["endpoint_id"],
        webhook["event"],
        first,
        max(newest_ordinal, first) if ahead else cursor,
        ahead + row["parked"],
    )


async def remove_remains(tx: Writing, before: int, now: int) -> None:
    """What nothing refers to any more: ended replays, skips, endpoints without a webhook, links past their time."""
    ended = and_(replays.c.state != ReplayState.RUNNING.value, replays.c.updated_at < before)
    of_ended = select(replays.c.id).where(ended)
    await tx.execute(delete(retries).where(retries.c.replay_id != "", retries.c.replay_id.in_(of_ended)))
    await tx.execute(delete(replays).where(ended))
    skipped = events.join(webhooks, webhooks.c.organization_id == events.c.organization_id)
    left = (
        select(events.c.sequence)
        .select_from(skipped)
        .where(
            webhooks.c.id == skips.c.webhook_id,
            events.c.event == skips.c.event,
            events.c.ordinal == skips.c.last_ordinal,
        )
    )
    await tx.execute(delete(skips).where(~left.exists()))
    named = select(webhooks.c.id).where(webhooks.c.endpoint_id == endpoints.c.id)
    await tx.execute(delete(endpoints).where(endpoints.c.lease_token.is_(null()), ~named.exists()))
    await tx.execute(delete(password_links).where(password_links.c.expires_at < now))

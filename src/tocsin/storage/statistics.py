"""What lies in the database, in a few numbers, for /metrics."""

from dataclasses import dataclass

from sqlalchemy import and_, func, select, true

from tocsin.storage.interface import Reading
from tocsin.storage.schema import RetryState, endpoints, events, heads, logs, retries, webhooks
from tocsin.storage.statements import Query

_AHEAD = and_(
    heads.c.organization_id == webhooks.c.organization_id,
    heads.c.event == webhooks.c.event,
    heads.c.ordinal > webhooks.c.cursor,
)
_PENDING = Query(
    select(func.coalesce(func.sum(heads.c.ordinal - webhooks.c.cursor), 0).label("found"))
    .select_from(webhooks.join(heads, _AHEAD))
    .where(webhooks.c.enabled == true())
)
_OLDEST = Query(
    select(func.min(events.c.occurred_at).label("found"))
    .select_from(
        webhooks.join(heads, _AHEAD).join(
            events,
            and_(
                events.c.organization_id == webhooks.c.organization_id,
                events.c.event == webhooks.c.event,
                events.c.ordinal == webhooks.c.cursor + 1,
            ),
        )
    )
    .where(webhooks.c.enabled == true())
)
_APPENDED = Query(select(func.coalesce(func.sum(logs.c.sequence), 0).label("found")))
_PARKED = Query(
    select(func.count().label("found")).where(
        (retries.c.state == RetryState.RETRYING.value) | (retries.c.state == RetryState.HELD.value)
    )
)
_OPEN = Query(select(func.count().label("found")).where(endpoints.c.opened_at.is_not(None)))


@dataclass(frozen=True, slots=True)
class Statistics:
    """`oldest_pending_at`: when the oldest event that a webhook has not come to occurred; None: there is none."""

    appended: int
    pending: int
    parked: int
    open_breakers: int
    oldest_pending_at: int | None


async def read(tx: Reading) -> Statistics:
    found = []
    for query in (_APPENDED, _PENDING, _PARKED, _OPEN, _OLDEST):
        row = await tx.row(query)
        assert row is not None, "a sum is a row"
        found.append(row["found"])
    return Statistics(*found)

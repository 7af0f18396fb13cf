"""Webhooks and the endpoints that they name: their rows, and how a change of them reaches workers.

Every change of what a worker reads bumps a webhook's `revision`, and the worker reads it anew; a change of what the
webhook is owed, or where, bumps its `epoch`, too, and a worker's results for an older epoch are dropped.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, delete, func, insert, null, or_, select, update

from tocsin.domain.events import Event
from tocsin.domain.page import Page, Paging
from tocsin.storage.collections import page
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.schema import RetryState, endpoints, heads, retries, skips, webhooks
from tocsin.storage.statements import Query

ACTIVE = (RetryState.RETRYING.value, RetryState.HELD.value)
PARKED = (*ACTIVE, RetryState.PAUSED.value)

_WEBHOOK = Query(select(webhooks).where(webhooks.c.id == bindparam("id")))
_WEBHOOK_LOCKED = Query(select(webhooks).where(webhooks.c.id == bindparam("id")).with_for_update())
_ENDPOINT = Query(
    select(endpoints).where(
        endpoints.c.organization_id == bindparam("organization_id"), endpoints.c.url == bindparam("url")
    )
)
_ENDPOINT_BY_ID = Query(select(endpoints).where(endpoints.c.id == bindparam("id")))
_THE_HEAD = select(heads.c.ordinal).where(
    heads.c.organization_id == bindparam("organization_id"), heads.c.event == bindparam("event")
)
_HEAD = Query(_THE_HEAD)
_HEAD_LOCKED = Query(_THE_HEAD.with_for_update())
_REMOVE = Query(delete(webhooks).where(webhooks.c.id == bindparam("id")))
_REMOVE_RETRIES = Query(delete(retries).where(retries.c.webhook_id == bindparam("webhook_id")))
_REMOVE_ENDPOINT = Query(
    delete(endpoints).where(
        endpoints.c.id == bindparam("id"),
        endpoints.c.lease_token.is_(null()),
        ~select(webhooks.c.id).where(webhooks.c.endpoint_id == endpoints.c.id).exists(),
    )
)
_WAKE = Query(
    update(endpoints)
    .where(endpoints.c.id == bindparam("id"))
    .values(
        due_at=case(
            (
                endpoints.c.lease_token.is_(null()),
                case((endpoints.c.not_before > bindparam("now"), endpoints.c.not_before), else_=bindparam("now")),
            ),
            else_=endpoints.c.due_at,
        ),
        again=case((endpoints.c.lease_token.is_(null()), endpoints.c.again), else_=True),
    )
)
_BEGIN_ANEW = Query(
    update(endpoints)
    .where(endpoints.c.id == bindparam("id"))
    .values(
        consecutive_failures=0,
        failing_resources="[]",
        failing_since=null(),
        opened_at=null(),
        probes=0,
        not_before=0,
        window=1,
    )
)
_PARKED = Query(
    select(func.count().label("parked"), func.min(retries.c.next_attempt_at).label("next_attempt_at")).where(
        and_(retries.c.webhook_id == bindparam("webhook_id"), or_(*(retries.c.state == state for state in PARKED)))
    )
)


async def find(tx: Reading, webhook_id: str, *, lock: bool = False) -> Row | None:
    return await tx.row(_WEBHOOK_LOCKED if lock else _WEBHOOK, id=webhook_id)


async def subscribed(tx: Reading, organization_id: str, event: str, limit: int) -> tuple[Sequence[Row], int]:
    """The oldest webhooks of an organization for an event type, at most `limit`; and how many there are."""
    where = (webhooks.c.organization_id == organization_id, webhooks.c.event == event)
    counted = await tx.row(select(func.count().label("found")).select_from(webhooks).where(*where))
    assert counted is not None
    ordered = select(webhooks).where(*where).order_by(webhooks.c.created_at, webhooks.c.id)
    return await tx.rows(ordered.limit(limit)), counted["found"]


async def head(tx: Reading, organization_id: str, event: Event, *, lock: bool = False) -> int:
    """The newest ordinal of one event type; locked, nothing is appended beside whoever begins there."""
    row = await tx.row(_HEAD_LOCKED if lock else _HEAD, organization_id=organization_id, event=event.value)
    assert row is not None, "every organization has a head for each event"
    return int(row["ordinal"])


async def endpoint_for(tx: Writing, organization_id: str, url: str, new_id: str, now: int) -> str:
    """The id of the organization's endpoint with this URL, made where there is none."""
    row = await tx.row(_ENDPOINT, organization_id=organization_id, url=url)
    if row is not None:
        return str(row["id"])
    await tx.insert(endpoints, {"id": new_id, "organization_id": organization_id, "url": url, "created_at": now})
    return new_id


async def endpoint(tx: Reading, endpoint_id: str) -> Row:
    row = await tx.row(_ENDPOINT_BY_ID, id=endpoint_id)
    assert row is not None, "a webhook has an endpoint"
    return row


async def wake(tx: Writing, endpoint_id: str, now: int) -> None:
    """Due as soon as its breaker and Retry-After allow; a leased one is told to look again."""
    await tx.execute(_WAKE, id=endpoint_id, now=now)


async def begin_anew(tx: Writing, endpoint_id: str) -> None:
    """Forget that the endpoint was failing: slow start from one POST in flight."""
    await tx.execute(_BEGIN_ANEW, id=endpoint_id)


async def parked(tx: Reading, webhook_id: str) -> tuple[int, int | None]:
    """How many deliveries wait, and when the first of them is due."""
    row = await tx.row(_PARKED, webhook_id=webhook_id)
    assert row is not None
    return int(row["parked"]), row["next_attempt_at"]


async def change_parked(tx: Writing, webhook_id: str, before: tuple[str, ...], values: Mapping[str, Any]) -> None:
    """Change the deliveries of a webhook that are parked in one of the states."""
    statement = update(retries).where(retries.c.webhook_id == webhook_id, retries.c.state.in_(before)).values(**values)
    await tx.execute(statement)


async def promote(tx: Writing, endpoint_id: str, now: int) -> None:
    """No resource's first waiting delivery in a series at the endpoint is held: it has nothing to wait for."""
    earlier = retries.alias("earlier")
    before = and_(
        earlier.c.endpoint_id == retries.c.endpoint_id,
        earlier.c.resource_id == retries.c.resource_id,
        earlier.c.replay_id == retries.c.replay_id,
        earlier.c.state.in_(ACTIVE),
        earlier.c.sequence < retries.c.sequence,
    )
    statement = (
        update(retries)
        .where(
            retries.c.endpoint_id == endpoint_id,
            retries.c.state == RetryState.HELD.value,
            ~select(earlier.c.sequence).where(before).exists(),
        )
        .values(state=RetryState.RETRYING.value, next_attempt_at=func.coalesce(retries.c.next_attempt_at, now))
    )
    await tx.execute(statement)


async def skip(tx: Writing, row: Row, last_ordinal: int, reason: str, now: int) -> None:
    """Remember that what lies between the webhook's cursor and `last_ordinal` was left out."""
    if last_ordinal > row["cursor"]:
        values = {
            "webhook_id": row["id"],
            "event": row["event"],
            "first_ordinal": row["cursor"] + 1,
            "last_ordinal": last_ordinal,
            "reason": reason,
            "created_at": now,
        }
        await tx.execute(insert(skips).values(**values))


async def remove(tx: Writing, webhook_id: str, endpoint_id: str) -> None:
    """With what is parked for it; its endpoint too, where no other webhook names it and no worker holds it."""
    await tx.execute(_REMOVE_RETRIES, webhook_id=webhook_id)
    await tx.execute(_REMOVE, id=webhook_id)
    await tx.execute(_REMOVE_ENDPOINT, id=endpoint_id)


async def rows_page(tx: Reading, conditions: list[ColumnElement[bool]], paging: Paging) -> Page[Row]:
    return await page(tx, webhooks, conditions, paging, lambda row: row)

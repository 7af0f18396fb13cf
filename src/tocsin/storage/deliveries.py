"""What became of each event for one webhook: read from the log, the cursor, what is parked, and the attempts."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, func, insert, literal, select, update

from tocsin.domain.resources import Attempt, Delivery, DeliveryState
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.schema import RetryState, attempts, events, retries, skips
from tocsin.storage.statements import Query

_ATTEMPTS = Query(
    select(attempts)
    .where(attempts.c.webhook_id == bindparam("webhook_id"), attempts.c.sequence == bindparam("sequence"))
    .order_by(attempts.c.id)
)

DELIVERED_REASON: Final = "The receiver took it."
PENDING_REASON: Final = "Not sent yet."
PAUSED_REASON: Final = "Waits: the webhook is disabled."


def _of(webhook: Row) -> Select[Any]:
    """Every event that the webhook is owed, with what is known of its delivery."""
    parked = and_(
        retries.c.webhook_id == webhook["id"], retries.c.sequence == events.c.sequence, retries.c.replay_id == ""
    )
    tries = select(attempts).where(attempts.c.webhook_id == webhook["id"], attempts.c.sequence == events.c.sequence)
    delivered_at = tries.with_only_columns(func.max(attempts.c.started_at)).where(attempts.c.delivered)
    skipped = select(skips.c.reason).where(
        skips.c.webhook_id == webhook["id"],
        skips.c.event == webhook["event"],
        skips.c.first_ordinal <= events.c.ordinal,
        skips.c.last_ordinal >= events.c.ordinal,
    )
    columns = (
        *(events.c[name] for name in ("sequence", "ordinal", "id", "event", "resource_id", "occurred_at")),
        retries.c.state.label("parked_state"),
        retries.c.reason.label("parked_reason"),
        retries.c.next_attempt_at,
        delivered_at.scalar_subquery().label("delivered_at"),
        tries.with_only_columns(func.count()).scalar_subquery().label("attempts"),
        skipped.limit(1).scalar_subquery().label("skipped_reason"),
    )
    return (
        select(*columns)
        .select_from(events.outerjoin(retries, parked))
        .where(
            events.c.organization_id == webhook["organization_id"],
            events.c.event == webhook["event"],
            events.c.ordinal > webhook["since"],
        )
    )


def _state(found: Any, cursor: int) -> ColumnElement[str]:
    """The table of what a delivery's state is, first match first."""
    paused = case(
        (found.c.parked_state == RetryState.PAUSED.value, DeliveryState.HELD.value), else_=found.c.parked_state
    )
    ended = found.c.parked_state.in_((RetryState.FAILED.value, RetryState.SKIPPED.value))
    return case(
        (and_(found.c.parked_state.is_not(None), ~ended), paused),
        (found.c.delivered_at.is_not(None), literal(DeliveryState.DELIVERED.value)),
        (ended, found.c.parked_state),
        (found.c.skipped_reason.is_not(None), literal(DeliveryState.SKIPPED.value)),
        (found.c.ordinal <= cursor, literal(DeliveryState.DELIVERED.value)),
        else_=literal(DeliveryState.PENDING.value),
    )


async def page(
    tx: Reading,
    webhook: Row,
    *,
    state: str | None,
    after: int | None,
    before: int | None,
    below: int | None,
    limit: int,
) -> list[Delivery]:
    """Newest first, at most `limit`; `below`: only sequences under it; `after`, `before`: on occurredAt."""
    found = _of(webhook).subquery()
    states = _state(found, webhook["cursor"])
    statement = select(found, states.label("state")).order_by(found.c.sequence.desc()).limit(limit)
    if state is not None:
        statement = statement.where(states == state)
    if below is not None:
        statement = statement.where(found.c.sequence < below)
    if after is not None:
        statement = statement.where(found.c.occurred_at >= after)
    if before is not None:
        statement = statement.where(found.c.occurred_at <= before)
    return [_delivery(webhook, row) for row in await tx.rows(statement)]


async def find(tx: Reading, webhook: Row, sequence: int) -> Delivery | None:
    found = _of(webhook).where(events.c.sequence == sequence).subquery()
    row = await tx.row(select(found, _state(found, webhook["cursor"]).label("state")))
    return None if row is None else _delivery(webhook, row)


def _delivery(webhook: Row, row: Row) -> Delivery:
    state = DeliveryState(row["state"])
    return Delivery(
        webhook_id=webhook["id"],
        event_id=row["id"],
        sequence=row["sequence"],
        ordinal=row["ordinal"],
        event=row["event"],
        resource_id=row["resource_id"],
        state=state,
        attempts=row["attempts"],
        occurred_at=row["occurred_at"],
        reason=_reason(row, state),
        next_attempt_at=row["next_attempt_at"] if state is DeliveryState.RETRYING else None,
        delivered_at=row["delivered_at"] if state is DeliveryState.DELIVERED else None,
    )


def _reason(row: Row, state: DeliveryState) -> str:
    if row["parked_state"] == RetryState.PAUSED.value:
        return PAUSED_REASON
    if row["parked_state"] == state.value:
        return str(row["parked_reason"])
    known: Mapping[DeliveryState, str] = {
        DeliveryState.DELIVERED: DELIVERED_REASON,
        DeliveryState.SKIPPED: str(row["skipped_reason"]),
    }
    return known.get(state, PENDING_REASON)


async def held_behind(tx: Reading, webhook: Row, delivery: Delivery) -> Row | None:
    """`sequence` and `reason` of what a held delivery waits for: the first of its resource at the endpoint."""
    earlier = (
        select(retries.c.sequence, retries.c.reason)
        .where(
            retries.c.endpoint_id == webhook["endpoint_id"],
            retries.c.resource_id == delivery.resource_id,
            retries.c.replay_id == "",
            retries.c.state.in_((RetryState.RETRYING.value, RetryState.HELD.value)),
            retries.c.sequence < delivery.sequence,
        )
        .order_by(retries.c.sequence)
        .limit(1)
    )
    return await tx.row(earlier)


async def attempts_of(tx: Reading, webhook_id: str, sequence: int) -> Sequence[Attempt]:
    """Oldest first; numbered from 1."""
    rows = await tx.rows(_ATTEMPTS, webhook_id=webhook_id, sequence=sequence)
    return [attempt(row, number) for number, row in enumerate(rows, start=1)]


def attempt(row: Row, number: int) -> Attempt:
    return Attempt(
        number=number,
        started_at=row["started_at"],
        outcome=row["outcome"],
        reason=row["reason"] or DELIVERED_REASON,
        status=row["status"],
        response_body=row["response_body"],
        address=row["address"],
        resolve_us=row["resolve_us"],
        connect_us=row["connect_us"],
        tls_us=row["tls_us"],
        first_byte_us=row["first_byte_us"],
        total_us=row["total_us"],
    )


async def send_again(tx: Writing, webhook: Row, delivery: Delivery, reason: str, now: int) -> None:
    """Into the park, behind what is there of the same resource; its schedule begins anew."""
    key = and_(
        retries.c.webhook_id == webhook["id"], retries.c.sequence == delivery.sequence, retries.c.replay_id == ""
    )
    values = {"state": RetryState.HELD.value, "attempts": 0, "next_attempt_at": None, "reason": reason}
    if await tx.execute(update(retries).where(key).values(**values)):
        return
    row = {
        "webhook_id": webhook["id"],
        "sequence": delivery.sequence,
        "replay_id": "",
        "organization_id": webhook["organization_id"],
        "endpoint_id": webhook["endpoint_id"],
        "ordinal": delivery.ordinal,
        "resource_id": delivery.resource_id,
        "created_at": now,
        **values,
    }
    await tx.execute(insert(retries).values(**row))

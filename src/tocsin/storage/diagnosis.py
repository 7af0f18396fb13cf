"""What a diagnosis reads of the database, on every engine. It only reads: nothing is changed."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sqlalchemy import and_, exists, false, func, or_, select, true

from tocsin.domain.diagnosis import Finding
from tocsin.storage.interface import Reading, Row
from tocsin.storage.schema import chores, endpoints, events, heads, logs, secrets, webhooks
from tocsin.storage.statements import Query


class Examination(Protocol):
    """A database that is only looked at: apart from `interface.Storage`, which opens it for work."""

    async def engine(self) -> Sequence[Finding]:
        """Of the server or the file itself, whatever lies in it."""
        ...

    async def upkeep(self) -> Sequence[Finding]:
        """Of what only an up-to-date schema has."""
        ...

    def read(self) -> AbstractAsyncContextManager[Reading]: ...


_KEYS = Query(select(secrets.c.name, secrets.c.value))
_NEWEST = Query(select(webhooks.c.id, webhooks.c.secret).order_by(webhooks.c.created_at.desc()).limit(1))
_OLDEST = Query(select(webhooks.c.id, webhooks.c.secret).order_by(webhooks.c.created_at).limit(1))
_HOUSEKEEPING = Query(select(chores.c.begun_at).where(chores.c.name == "housekeeping"))
_LAST = Query(select(func.max(logs.c.occurred_at).label("found")))
_ENABLED = and_(webhooks.c.endpoint_id == endpoints.c.id, webhooks.c.enabled == true())
_FAILING = Query(
    select(endpoints.c.organization_id, endpoints.c.url, endpoints.c.opened_at, endpoints.c.failing_since)
    .where(or_(endpoints.c.consecutive_failures > 0, endpoints.c.opened_at.is_not(None)))
    .where(exists().where(_ENABLED))
    .order_by(endpoints.c.failing_since)
)
_DISABLED = Query(
    select(webhooks.c.id, webhooks.c.disabled_reason)
    .where(webhooks.c.enabled == false(), webhooks.c.disabled_reason.is_not(None))
    .order_by(webhooks.c.updated_at)
)
_LOST = Query(select(webhooks.c.id, webhooks.c.lost).where(webhooks.c.lost > 0).order_by(webhooks.c.id))
_URLS = Query(
    select(webhooks.c.payload_url.label("url"))
    .where(webhooks.c.enabled == true())
    .order_by(webhooks.c.created_at.desc())
    .limit(100)
)
_WAITING = Query(
    select(func.min(events.c.occurred_at).label("found"))
    .select_from(
        webhooks.join(endpoints, _ENABLED)
        .join(
            heads,
            and_(
                heads.c.organization_id == webhooks.c.organization_id,
                heads.c.event == webhooks.c.event,
                heads.c.ordinal > webhooks.c.cursor,
            ),
        )
        .join(
            events,
            and_(
                events.c.organization_id == webhooks.c.organization_id,
                events.c.event == webhooks.c.event,
                events.c.ordinal == webhooks.c.cursor + 1,
            ),
        )
    )
    .where(endpoints.c.consecutive_failures == 0, endpoints.c.opened_at.is_(None))
)


async def sealed_keys(tx: Reading) -> Sequence[Row]:
    """Of login tokens: by name, sealed."""
    return await tx.rows(_KEYS)


async def sealed_secrets(tx: Reading) -> Sequence[Row]:
    """Of the newest and of the oldest webhook: sealed."""
    return [*await tx.rows(_NEWEST), *await tx.rows(_OLDEST)]


async def housekept_at(tx: Reading) -> int:
    """When somebody began to keep house last; 0: nobody ever."""
    row = await tx.row(_HOUSEKEEPING)
    return 0 if row is None else int(row["begun_at"])


async def last_event_at(tx: Reading) -> int:
    row = await tx.row(_LAST)
    assert row is not None, "a maximum is a row"
    return int(row["found"] or 0)


async def waiting_since(tx: Reading) -> int | None:
    """When the oldest event occurred that a webhook has not come to, though nothing is wrong with its endpoint."""
    row = await tx.row(_WAITING)
    assert row is not None, "a minimum is a row"
    return None if row["found"] is None else int(row["found"])


async def failing_endpoints(tx: Reading) -> Sequence[Row]:
    """Those with an enabled webhook, longest first: down where `opened_at` is set."""
    return await tx.rows(_FAILING)


async def disabled_webhooks(tx: Reading) -> Sequence[Row]:
    return await tx.rows(_DISABLED)


async def webhooks_with_losses(tx: Reading) -> Sequence[Row]:
    return await tx.rows(_LOST)


async def receivers(tx: Reading) -> Sequence[str]:
    """URLs of the newest enabled webhooks."""
    return [row["url"] for row in await tx.rows(_URLS)]

"""Why an event was or wasn't sent to a webhook, what was tried, what comes next, and how to try it by hand."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.delivery import recipient
from tocsin.delivery.request import Recipient, head
from tocsin.delivery.target import RefusedUrl
from tocsin.domain.errors import NotFound
from tocsin.domain.resources import Attempt, Delivery, DeliveryState
from tocsin.domain.roles import Permission
from tocsin.hal import Hal
from tocsin.hal.encoding import moment
from tocsin.hal.representation import Representation
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.service.webhooks import sealed, seen
from tocsin.storage import deliveries, event_feed, webhooks
from tocsin.storage.interface import Reading, Row
from tocsin.storage.records import LoggedEvent

WEBHOOKS_MAX: Final = 100
"""Webhooks explained at once; any one of them by asking for it."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One webhook's part: `why` and `next` in plain words."""

    webhook_id: str
    payload_url: str
    state: str
    """A delivery's state, or `none`: the webhook is not owed this event."""
    why: str
    next: str
    attempts: Sequence[Attempt]
    request: str | None
    """A curl command that sends it now, with a fresh signature; None for who may not manage webhooks."""


@dataclass(frozen=True, slots=True)
class Explained:
    event: LoggedEvent
    webhooks: Sequence[Explanation]
    total: int
    """Webhooks that this event concerns; more than WEBHOOKS_MAX are not all explained."""


class Explanations:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def explain(self, caller: Caller, event_id: str, webhook_id: str | None) -> Explained:
        """For one webhook, or for every one of the organization's that is there for such events."""
        async with self._context.storage.read() as tx:
            event = await event_feed.find(tx, event_id)
            if event is None or not caller.belongs(event.organization_id):
                raise NotFound("There is no such event.")
            if webhook_id is None:
                rows, total = await webhooks.subscribed(tx, event.organization_id, event.event, WEBHOOKS_MAX)
            else:
                rows, total = [await _of(tx, caller, webhook_id, event)], 1
            explained = [await self._explain(tx, caller, event, row) for row in rows]
        return Explained(event, explained, total)

    async def _explain(self, tx: Reading, caller: Caller, event: LoggedEvent, row: Row) -> Explanation:
        delivery = await deliveries.find(tx, row, event.sequence)
        attempts = await deliveries.attempts_of(tx, row["id"], event.sequence)
        if delivery is None:
            state, why, then = "none", *_not_owed(event, row)
        else:
            state = delivery.state.value
            why, then = await self._on_its_way(tx, row, delivery, attempts)
        may = caller.may(Permission.MANAGE_WEBHOOKS, event.organization_id)
        request = self._request(event, row) if may else None
        return Explanation(row["id"], row["payload_url"], state, why, then, attempts, request)

    async def _on_its_way(
        self, tx: Reading, row: Row, delivery: Delivery, attempts: Sequence[Attempt]
    ) -> tuple[str, str]:
        match delivery.state:
            case DeliveryState.DELIVERED:
                at = "" if delivery.delivered_at is None else f" at {moment(delivery.delivered_at)}"
                return f"Delivered{at}, at attempt {max(len(attempts), 1)}.", "Nothing: it is done."
            case DeliveryState.FAILED:
                return delivery.reason, "Nothing by itself: redeliver it, or replay what failed."
            case DeliveryState.SKIPPED:
                return delivery.reason, "Nothing by itself: redeliver it, or replay it."
        if not row["enabled"]:
            why = f"It waits, because the webhook is disabled: {row['disabled_reason']}"
            return why, "Enable the webhook: resume continue sends what it missed, skip leaves it out."
        return await self._waiting(tx, row, delivery)

    async def _waiting(self, tx: Reading, row: Row, delivery: Delivery) -> tuple[str, str]:
        endpoint, now = await webhooks.endpoint(tx, row["endpoint_id"]), self._context.clock.now()
        why = delivery.reason
        if delivery.state is DeliveryState.HELD:
            before = await deliveries.held_behind(tx, row, delivery)
            if before is not None:
                why = f"It waits behind sequence {before['sequence']} of the same resource: {before['reason']}"
        elif delivery.state is DeliveryState.PENDING:
            behind = delivery.ordinal - row["cursor"] - 1
            why = f"Not sent yet: {behind} events come before it." if behind else "Not sent yet: it is the next."
        if endpoint["opened_at"] is not None:
            why = f"{why} The endpoint is down since {moment(endpoint['failing_since'])}."
            return why, f"Only probes are sent; the next is due at {moment(endpoint['not_before'])}."
        if endpoint["not_before"] > now:
            return why, f"The receiver asked to wait until {moment(endpoint['not_before'])}."
        if delivery.next_attempt_at is not None:
            return why, f"Attempt {delivery.attempts + 1} is due at {moment(delivery.next_attempt_at)}."
        return why, "It is sent when its turn comes."

    def _request(self, event: LoggedEvent, row: Row) -> str | None:
        try:
            ready = recipient.ready(sealed(row), self._context.vault)
        except (ValueError, RefusedUrl) as error:
            return f"# {error}"
        return curl(ready, row["payload_url"], event, self._context.clock.now())


def curl(ready: Recipient, url: str, event: LoggedEvent, now: int) -> str:
    """The command that POSTs the notification as a worker would at `now` (microseconds)."""
    lines = head(ready, event, now).decode("latin-1").split("\r\n")
    parts = ["curl -sS -i -X POST", *(f"-H {shlex.quote(line)}" for line in lines if line)]
    parts += [f"--data-binary {shlex.quote(event.body.decode())}", shlex.quote(url)]
    return " \\\n  ".join(parts)


def explanation(hal: Hal, explained: Explained) -> Representation:
    """As the API and the command show it."""
    event = explained.event
    parts = [
        hal.explanation(one.webhook_id, one.payload_url, one.state, one.why, one.next, one.attempts, one.request)
        for one in explained.webhooks
    ]
    return hal.explained(event.id, event.event, event.sequence, explained.total, parts)


async def _of(tx: Reading, caller: Caller, webhook_id: str, event: LoggedEvent) -> Row:
    row = await seen(tx, caller, webhook_id)
    if row["organization_id"] != event.organization_id:
        raise NotFound("There is no such webhook.")
    return row


def _not_owed(event: LoggedEvent, row: Row) -> tuple[str, str]:
    if row["event"] != event.event:
        return f"The webhook is for {row['event']}; this is a {event.event}.", "Nothing: it is never sent there."
    why = f"The webhook begins after this event: at ordinal {row['since'] + 1}; this one has {event.ordinal}."
    return why, "Nothing by itself: replay it."

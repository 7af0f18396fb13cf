"""Trying a webhook out: one notification that tells of nothing but the webhook, sent now, and what became of it."""

from typing import Final, Protocol

from tocsin.delivery import recipient
from tocsin.delivery.outcome import Durations, Outcome, OutcomeKind
from tocsin.delivery.request import head
from tocsin.delivery.target import RefusedUrl, Target
from tocsin.domain.audit import Action
from tocsin.domain.resources import Attempt
from tocsin.domain.roles import Permission
from tocsin.hal.encoding import encode
from tocsin.service.audit import record
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.service.webhooks import Webhooks, sealed, seen
from tocsin.storage.interface import Row, Writing
from tocsin.storage.records import LoggedEvent
from tocsin.storage.schema import attempts

PING: Final = "ping"


class Pinger(Protocol):
    async def post(self, target: Target, head: bytes, body: bytes) -> Outcome:
        """One attempt, vetted and bounded as every other."""
        ...


class Pings:
    def __init__(self, context: Context, webhooks: Webhooks, pinger: Pinger) -> None:
        self._context = context
        self._webhooks = webhooks
        self._pinger = pinger

    async def ping(self, caller: Caller, webhook_id: str) -> Attempt:
        """Disabled webhooks are pinged, too: before one is enabled is when its owner wants to know."""
        async with self._context.storage.read() as tx:
            row = await seen(tx, caller, webhook_id)
        caller.require(Permission.MANAGE_WEBHOOKS, row["organization_id"])
        now = self._context.clock.now()
        outcome = await self._send(row, now)
        delivered = outcome.kind is OutcomeKind.RESPONSE and outcome.status is not None and outcome.status < 300
        await self._record(caller, row, outcome, now, delivered=delivered)
        durations = outcome.durations
        return Attempt(
            number=1,
            started_at=now,
            outcome=outcome.kind.value,
            reason=outcome.reason,
            total_us=durations.total,
            status=outcome.status,
            response_body=None if delivered else outcome.response_body,
            address=outcome.address,
            resolve_us=durations.resolve,
            connect_us=durations.connect,
            tls_us=durations.tls,
            first_byte_us=durations.first_byte,
        )

    async def _send(self, row: Row, now: int) -> Outcome:
        try:
            ready = recipient.ready(sealed(row), self._context.vault)
        except RefusedUrl as error:
            return Outcome(OutcomeKind.UNREADY, f"The notification could not be made: {error}.", Durations(0))
        representation = encode(self._context.hal.webhook(self._webhooks.webhook(row)))
        body = b'{"event":"ping","payload":%s}' % representation
        event = LoggedEvent(row["organization_id"], 0, PING, 0, self._context.new_id(), row["id"], now, body)
        return await self._pinger.post(ready.target, head(ready, event, now), body)

    async def _record(self, caller: Caller, row: Row, outcome: Outcome, now: int, *, delivered: bool) -> None:
        """As sequence 0: it is nobody's delivery."""
        durations = outcome.durations

        async def insert(tx: Writing) -> None:
            values = {
                "webhook_id": row["id"],
                "sequence": 0,
                "ordinal": 0,
                "delivered": delivered,
                "started_at": now,
                "outcome": outcome.kind.value,
                "status": outcome.status,
                "reason": outcome.reason,
                "address": outcome.address,
                "total_us": durations.total,
            }
            await tx.insert(attempts, values)
            subject, result = f"webhook:{row['id']}", {"outcome": outcome.kind.value, "status": outcome.status}
            await record(self._context, tx, caller, Action.WEBHOOK_PINGED, row["organization_id"], subject, **result)

        await self._context.storage.write(insert)

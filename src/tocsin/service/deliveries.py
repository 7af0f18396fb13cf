"""What became of a webhook's events, and sending one of them again."""

from collections.abc import Sequence

from tocsin.domain.audit import Action
from tocsin.domain.errors import Conflict, NotFound
from tocsin.domain.resources import Attempt, Delivery, DeliveryState
from tocsin.domain.roles import Permission
from tocsin.service.audit import record
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.service.webhooks import seen
from tocsin.storage import deliveries as stored
from tocsin.storage import webhooks
from tocsin.storage.interface import Reading, Row, Writing

AGAIN_REASON = "Sent again at its owner's wish."


class Deliveries:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def page(
        self,
        caller: Caller,
        webhook_id: str,
        *,
        state: str | None,
        after: int | None,
        before: int | None,
        below: int | None,
        limit: int,
    ) -> list[Delivery]:
        """Newest first; `below`: only sequences under it."""
        async with self._context.storage.read() as tx:
            row = await seen(tx, caller, webhook_id)
            return await stored.page(tx, row, state=state, after=after, before=before, below=below, limit=limit)

    async def get(self, caller: Caller, webhook_id: str, sequence: int) -> Delivery:
        async with self._context.storage.read() as tx:
            return await _found(tx, await seen(tx, caller, webhook_id), sequence)

    async def attempts(self, caller: Caller, webhook_id: str, sequence: int) -> Sequence[Attempt]:
        async with self._context.storage.read() as tx:
            await _found(tx, await seen(tx, caller, webhook_id), sequence)
            return await stored.attempts_of(tx, webhook_id, sequence)

    async def redeliver(self, caller: Caller, webhook_id: str, sequence: int) -> Delivery:
        """Raises Conflict for one that is on its way already, or whose webhook is disabled."""

        async def change(tx: Writing) -> Delivery:
            row = await seen(tx, caller, webhook_id, lock=True)
            caller.require(Permission.MANAGE_WEBHOOKS, row["organization_id"])
            delivery = await _found(tx, row, sequence)
            if not row["enabled"]:
                raise Conflict("The webhook is disabled.")
            if delivery.state in (DeliveryState.PENDING, DeliveryState.HELD):
                raise Conflict(f"The delivery is {delivery.state}: it is on its way already.")
            now = self._context.clock.now()
            await stored.send_again(tx, row, delivery, AGAIN_REASON, now)
            await webhooks.promote(tx, row["endpoint_id"], now)
            await webhooks.wake(tx, row["endpoint_id"], now)
            subject, organization_id = f"webhook:{webhook_id}", row["organization_id"]
            await record(
                self._context, tx, caller, Action.DELIVERY_REPEATED, organization_id, subject, sequence=sequence
            )
            return await _found(tx, row, sequence)

        return await self._context.storage.write(change)


async def _found(tx: Reading, webhook: Row, sequence: int) -> Delivery:
    delivery = await stored.find(tx, webhook, sequence)
    if delivery is None:
        raise NotFound("There is no such delivery.")
    return delivery

"""Who did what to an organization's credentials, members and webhooks, and when."""

from collections.abc import Sequence
from typing import Any

from tocsin.domain.audit import Action, AuditEntry
from tocsin.domain.roles import Permission
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.storage import audit as stored
from tocsin.storage.interface import Writing


class Audit:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def page(
        self, caller: Caller, organization_id: str, *, below: int | None, limit: int
    ) -> Sequence[AuditEntry]:
        """Newest first; `below`: only numbers under it."""
        caller.require(Permission.READ_AUDIT, organization_id)
        async with self._context.storage.read() as tx:
            return await stored.page(tx, organization_id, below=below, limit=limit)


async def record(
    context: Context, tx: Writing, caller: Caller, action: Action, organization_id: str, subject: str, **details: Any
) -> None:
    """In the transaction of what it tells of. `details` hold no secret and no value of a custom header."""
    await stored.record(tx, organization_id, context.clock.now(), caller.actor, action, subject, details)

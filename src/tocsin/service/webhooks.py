"""Webhooks: one event type, one URL, and what their owner decides about them.

Names are resolved before the transaction; secrets and custom headers are sealed before they are stored, and shown once
or never. A webhook begins at the head of its event type; a disabled one loses nothing: enabled again, it catches up or
skips.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement

from tocsin.clock import SECOND
from tocsin.delivery import signing, target
from tocsin.delivery.address import REASON, Refused, refusal
from tocsin.delivery.recipient import Sealed, headers_purpose, secret_purpose
from tocsin.delivery.resolver import Resolver
from tocsin.domain.audit import Action
from tocsin.domain.errors import Invalid, NotFound, Violation
from tocsin.domain.events import Event
from tocsin.domain.page import Page, Paging
from tocsin.domain.resources import Webhook, WebhookStatus
from tocsin.domain.roles import Permission
from tocsin.service.audit import record
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.service.names import resolved
from tocsin.storage import organizations, replays
from tocsin.storage import webhooks as stored
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.schema import RetryState
from tocsin.storage.schema import webhooks as table

CONTINUE: Final = "continue"
SKIP: Final = "skip"
DISABLED_BY_OWNER: Final = "Disabled by its owner."

PLAIN: Final = ("description", "signature", "max_in_flight", "rate_per_second")
"""Members that are columns by the same name."""
OWED: Final = frozenset(("endpoint_id", "event", "enabled", "cursor"))
"""Columns that say what the webhook is owed, and where."""
TOLD: Final = {"event": "event", "payload_url": "payloadUrl", "enabled": "enabled", "resume": "resume"}
"""Members whose new values the audit tells; of the others only that they changed."""


@dataclass(frozen=True, slots=True)
class Created:
    """`secret`: shown this once."""

    webhook: Webhook
    secret: str


class Webhooks:
    def __init__(self, context: Context, resolver: Resolver) -> None:
        self._context = context
        self._resolver = resolver

    async def create(self, caller: Caller, organization_id: str, members: Mapping[str, Any]) -> Created:
        """`members`: event, payload_url, and what else was given. Raises Invalid, naming why a URL is refused."""
        url = await self._vet(members["payload_url"])
        key = signing.parse_secret(members["secret"]) if members.get("secret") else None
        secret = key or self._context.entropy(signing.NEW_SECRET_BYTES)

        async def insert(tx: Writing) -> Webhook:
            await self._require_organization(tx, caller, organization_id)
            webhook_id, now, event = self._context.new_id(), self._context.clock.now(), Event(members["event"])
            endpoint_id = await stored.endpoint_for(tx, organization_id, url, self._context.new_id(), now)
            head = await stored.head(tx, organization_id, event, lock=True)
            row = {
                "id": webhook_id,
                "organization_id": organization_id,
                "endpoint_id": endpoint_id,
                "event": event.value,
                "payload_url": members["payload_url"],
                "enabled": members.get("enabled", True),
                "headers": self._sealed_headers(webhook_id, members.get("headers", {})),
                "secret": self._context.vault.seal(secret, secret_purpose(webhook_id)),
                "cursor": head,
                "since": head,
                "created_at": now,
                "updated_at": now,
                "signature": "v1",
                **{name: members[name] for name in PLAIN if name in members},
            }
            await tx.insert(table, row)
            details = {"event": event.value, "payloadUrl": members["payload_url"]}
            await self._record(tx, caller, Action.WEBHOOK_CREATED, row, **details)
            return await self._read(tx, webhook_id)

        webhook = await self._context.storage.write(insert)
        return Created(webhook, signing.format_secret(secret))

    async def _record(self, tx: Writing, caller: Caller, action: Action, row: Any, **details: Any) -> None:
        """In the audit, with the webhook as its subject."""
        subject = f"webhook:{row['id']}"
        await record(self._context, tx, caller, action, row["organization_id"], subject, **details)

    async def _require_organization(self, tx: Reading, caller: Caller, organization_id: str) -> None:
        if await organizations.find(tx, organization_id) is None or not caller.belongs(organization_id):
            raise Invalid(Violation("organization", "There is no such organization among yours."))
        caller.require(Permission.MANAGE_WEBHOOKS, organization_id)

    async def get(self, caller: Caller, webhook_id: str) -> Webhook:
        async with self._context.storage.read() as tx:
            return self.webhook(await seen(tx, caller, webhook_id))

    async def page(
        self, caller: Caller, organization_id: str, event: str | None, enabled: bool | None, paging: Paging
    ) -> Page[Webhook]:
        caller.require_sight(organization_id)
        conditions: list[ColumnElement[bool]] = [table.c.organization_id == organization_id]
        if event is not None:
            conditions.append(table.c.event == event)
        if enabled is not None:
            conditions.append(table.c.enabled.is_(enabled))
        async with self._context.storage.read() as tx:
            found = await stored.rows_page(tx, conditions, paging)
        return found.map(self.webhook)

    async def change(self, caller: Caller, webhook_id: str, members: Mapping[str, Any]) -> Webhook:
        """Workers see the change within a second; what is in flight finishes.

        A new payload_url: what waits goes there. A new event: what waits is skipped, and it begins at the head.
        `enabled` true, with `resume` "continue" (what was missed is delivered) or "skip".
        """
        url = await self._vet(members["payload_url"]) if "payload_url" in members else None

        async def change(tx: Writing) -> Webhook:
            row = await seen(tx, caller, webhook_id, lock=True)
            caller.require(Permission.MANAGE_WEBHOOKS, row["organization_id"])
            if not members:
                return await self._read(tx, webhook_id)
            now = self._context.clock.now()
            values: dict[str, Any] = {name: members[name] for name in PLAIN if name in members}
            if "headers" in members:
                values["headers"] = self._sealed_headers(webhook_id, members["headers"])
            if url is not None:
                values |= await self._move(tx, row, url, members["payload_url"], now)
            if members.get("event", row["event"]) != row["event"]:
                values |= await self._begin_at_head(tx, row, Event(members["event"]), now)
            if "enabled" in members:
                values |= await self._switch(tx, row, members["enabled"], members.get("resume", CONTINUE), now)
            elif members.get("resume") is not None:
                raise Invalid(Violation("resume", "Only together with enabled: true."))
            values |= {"revision": row["revision"] + 1, "epoch": row["epoch"] + (values.keys() & OWED != set())}
            await tx.update(table, webhook_id, {**values, "updated_at": now})
            for endpoint_id in {row["endpoint_id"], values.get("endpoint_id", row["endpoint_id"])}:
                await stored.promote(tx, endpoint_id, now)
                await stored.wake(tx, endpoint_id, now)
            shown = {TOLD[name]: members[name] for name in TOLD if name in members}
            await self._record(tx, caller, Action.WEBHOOK_CHANGED, row, members=sorted(members), **shown)
            return await self._read(tx, webhook_id)

        return await self._context.storage.write(change)

    async def _move(self, tx: Writing, row: Row, url: str, given: str, now: int) -> dict[str, Any]:
        endpoint_id = await stored.endpoint_for(tx, row["organization_id"], url, self._context.new_id(), now)
        if endpoint_id != row["endpoint_id"]:
            waiting = tuple(RetryState)
            changes = {"endpoint_id": endpoint_id}
            await stored.change_parked(tx, row["id"], waiting, changes)
            await replays.move(tx, row["id"], endpoint_id)
        return {"payload_url": given, "endpoint_id": endpoint_id}

    async def _begin_at_head(self, tx: Writing, row: Row, event: Event, now: int) -> dict[str, Any]:
        reason = "The webhook's event was changed."
        await self._skip_waiting(tx, row, reason, now)
        head = await stored.head(tx, row["organization_id"], event, lock=True)
        return {"event": event.value, "cursor": head, "since": head}

    async def _switch(self, tx: Writing, row: Row, enabled: bool, resume: str, now: int) -> dict[str, Any]:
        if not enabled:
            if not row["enabled"]:
                return {}
            await stored.change_parked(tx, row["id"], stored.ACTIVE, {"state": RetryState.PAUSED.value})
            return {"enabled": False, "disabled_reason": DISABLED_BY_OWNER}
        if row["enabled"]:
            return {}
        values: dict[str, Any] = {"enabled": True, "disabled_reason": None}
        await stored.begin_anew(tx, row["endpoint_id"])
        if resume == SKIP:
            head = await self._skip_waiting(tx, row, "Skipped when the webhook was enabled again.", now)
            return {**values, "cursor": head}
        await stored.change_parked(tx, row["id"], (RetryState.PAUSED.value,), {"state": RetryState.HELD.value})
        return values

    async def _skip_waiting(self, tx: Writing, row: Row, reason: str, now: int) -> int:
        """What waits, parked or not, is left out; returns the head of the webhook's event type."""
        head = await stored.head(tx, row["organization_id"], Event(row["event"]), lock=True)
        await stored.skip(tx, row, head, reason, now)
        await replays.stop(tx, row["id"], now)
        changes = {"state": RetryState.SKIPPED.value, "next_attempt_at": None, "reason": reason}
        await stored.change_parked(tx, row["id"], stored.PARKED, changes)
        return head

    async def rotate(self, caller: Caller, webhook_id: str, overlap_seconds: int) -> Created:
        """A new secret, shown this once; until the overlap ends the old one signs, too."""
        secret = self._context.entropy(signing.NEW_SECRET_BYTES)

        async def change(tx: Writing) -> Webhook:
            row = await seen(tx, caller, webhook_id, lock=True)
            caller.require(Permission.MANAGE_WEBHOOKS, row["organization_id"])
            now = self._context.clock.now()
            values = {
                "secret": self._context.vault.seal(secret, secret_purpose(webhook_id)),
                "previous_secret": row["secret"] if overlap_seconds else None,
                "previous_secret_until": now + overlap_seconds * SECOND if overlap_seconds else None,
                "revision": row["revision"] + 1,
                "updated_at": now,
            }
            await tx.update(table, webhook_id, values)
            await self._record(tx, caller, Action.SECRET_ROTATED, row, overlapSeconds=overlap_seconds)
            await stored.wake(tx, row["endpoint_id"], now)
            return await self._read(tx, webhook_id)

        return Created(await self._context.storage.write(change), signing.format_secret(secret))

    async def public_key(self, caller: Caller, webhook_id: str) -> str:
        """`whpk_…`. Raises NotFound for a webhook that does not sign with ed25519."""
        async with self._context.storage.read() as tx:
            row = await seen(tx, caller, webhook_id)
        if row["signature"] != "v1a":
            raise NotFound("The webhook has no public key: its signature is v1.")
        return signing.Ed25519Signer(self._context.vault.open(row["secret"], secret_purpose(webhook_id))).public_key

    async def remove(self, caller: Caller, webhook_id: str) -> None:
        async def remove(tx: Writing) -> None:
            row = await seen(tx, caller, webhook_id, lock=True)
            caller.require(Permission.MANAGE_WEBHOOKS, row["organization_id"])
            await replays.remove(tx, webhook_id)
            await stored.remove(tx, webhook_id, row["endpoint_id"])
            details = {"event": row["event"], "payloadUrl": row["payload_url"]}
            await self._record(tx, caller, Action.WEBHOOK_REMOVED, row, **details)
            now = self._context.clock.now()
            await stored.promote(tx, row["endpoint_id"], now)
            await stored.wake(tx, row["endpoint_id"], now)

        await self._context.storage.write(remove)

    async def status(self, caller: Caller, webhook_id: str) -> WebhookStatus:
        async with self._context.storage.read() as tx:
            row = await seen(tx, caller, webhook_id)
            endpoint = await stored.endpoint(tx, row["endpoint_id"])
            head = await stored.head(tx, row["organization_id"], Event(row["event"]))
            parked, next_attempt_at = await stored.parked(tx, webhook_id)
        failing = endpoint["consecutive_failures"] > 0
        state = "disabled" if not row["enabled"] else "failing" if failing else "active"
        if endpoint["opened_at"] is not None:
            next_attempt_at = endpoint["not_before"]
        return WebhookStatus(
            state=state,
            cursor=row["cursor"],
            head=head,
            pending=head - row["cursor"],
            parked=parked,
            lost=row["lost"],
            reason=_reason(row, endpoint),
            failing_since=endpoint["failing_since"],
            next_attempt_at=next_attempt_at if row["enabled"] else None,
        )

    async def _vet(self, url: str) -> str:
        """The URL in its normal form. Raises Invalid, path `payloadUrl`. What does not resolve is accepted."""
        try:
            parsed = target.parse(url)
        except target.RefusedUrl as refused:
            raise Invalid(Violation("payloadUrl", f"{_sentence(str(refused))} ({refused.refused}).")) from None
        addresses = [parsed.address] if parsed.address is not None else await resolved(self._resolver, parsed.host)
        for address in addresses:
            found = refusal(address, self._context.allowed_networks)
            if found is not None:
                raise _refused(found)
        return parsed.url

    def _sealed_headers(self, webhook_id: str, headers: Mapping[str, str]) -> bytes:
        return self._context.vault.seal(json.dumps(dict(headers)).encode(), headers_purpose(webhook_id))

    async def _read(self, tx: Reading, webhook_id: str) -> Webhook:
        row = await stored.find(tx, webhook_id)
        assert row is not None
        return self.webhook(row)

    def webhook(self, row: Row) -> Webhook:
        """As its owner sees it."""
        headers = json.loads(self._context.vault.open(row["headers"], headers_purpose(row["id"])))
        return Webhook(
            id=row["id"],
            organization_id=row["organization_id"],
            event=Event(row["event"]),
            payload_url=row["payload_url"],
            enabled=bool(row["enabled"]),
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            description=row["description"],
            headers=headers,
            signature=row["signature"],
            max_in_flight=row["max_in_flight"],
            rate_per_second=row["rate_per_second"],
        )


async def seen(tx: Reading, caller: Caller, webhook_id: str, *, lock: bool = False) -> Row:
    """Raises NotFound where the caller may not know of it."""
    row = await stored.find(tx, webhook_id, lock=lock)
    if row is None or not caller.belongs(row["organization_id"]):
        raise NotFound("There is no such webhook.")
    return row


def sealed(row: Row) -> Sealed:
    """What sending to the webhook takes, still sealed."""
    return Sealed(
        row["id"],
        row["payload_url"],
        row["signature"],
        row["headers"],
        row["secret"],
        row["previous_secret"],
        row["previous_secret_until"],
    )


def _refused(refused: Refused) -> Invalid:
    return Invalid(Violation("payloadUrl", f"{_sentence(REASON[refused])} ({refused})."))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _reason(row: Row, endpoint: Row) -> str | None:
    if not row["enabled"]:
        return str(row["disabled_reason"])
    if endpoint["opened_at"] is not None:
        return f"The endpoint is down: {endpoint['consecutive_failures']} failures in a row. Only probes are sent."
    if endpoint["consecutive_failures"]:
        return f"The endpoint failed {endpoint['consecutive_failures']} times in a row."
    return None

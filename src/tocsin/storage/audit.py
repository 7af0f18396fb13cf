"""The audit of an organization: appended in the transaction of what it tells of, and never changed."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from tocsin.domain.audit import Action, AuditEntry
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.schema import audit


async def record(
    tx: Writing, organization_id: str, now: int, actor: str, action: Action, subject: str, details: Mapping[str, Any]
) -> None:
    row = {
        "organization_id": organization_id,
        "at": now,
        "actor": actor,
        "action": action.value,
        "subject": subject,
        "details": json.dumps(dict(details)),
    }
    await tx.insert(audit, row)


async def page(tx: Reading, organization_id: str, *, below: int | None, limit: int) -> list[AuditEntry]:
    """Newest first, at most `limit`; `below`: only numbers under it."""
    statement = select(audit).where(audit.c.organization_id == organization_id)
    if below is not None:
        statement = statement.where(audit.c.id < below)
    rows = await tx.rows(statement.order_by(audit.c.id.desc()).limit(limit))
    return [_entry(row) for row in rows]


def _entry(row: Row) -> AuditEntry:
    return AuditEntry(
        number=row["id"],
        organization_id=row["organization_id"],
        at=row["at"],
        actor=row["actor"],
        action=Action(row["action"]),
        subject=row["subject"],
        details=json.loads(row["details"]),
    )

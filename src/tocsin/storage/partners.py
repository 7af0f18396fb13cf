"""Partners, and who holds a report: its owner, and the organizations that it was delegated to.

The columns `delegated_from` and `delegated_to` of a report show its latest hop; the holders besides the owner are in
`delegations`, whose rows never go. A report with no `delegated_to` has no row there, and costs no look.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, Select, bindparam, delete, exists, func, or_, select

from tocsin.domain.resources import Report
from tocsin.storage.interface import Reading, Writing
from tocsin.storage.schema import delegations, feedbacks, operations, organizations, relationships, reports
from tocsin.storage.statements import Query

_DELEGATES = Query(
    select(delegations.c.organization_id)
    .where(delegations.c.report_id == bindparam("report_id"))
    .order_by(delegations.c.created_at, delegations.c.organization_id)
)
_ANY_DELEGATED = Query(
    select(delegations.c.report_id).where(delegations.c.organization_id == bindparam("organization_id")).limit(1)
)
_HOLDERS = Query(
    select(reports.c.organization_id, delegations.c.organization_id.label("delegate"))
    .select_from(reports.outerjoin(delegations, delegations.c.report_id == reports.c.id))
    .where(reports.c.feedback_id == bindparam("feedback_id"))
)
_RELATED = (
    relationships.c.organization_id == bindparam("organization_id"),
    relationships.c.partner_id == bindparam("partner_id"),
)
_RELATIONSHIP = Query(select(relationships.c.created_at).where(*_RELATED))
_COUNT = Query(
    select(func.count().label("count")).where(relationships.c.organization_id == bindparam("organization_id"))
)
_REMOVE = Query(delete(relationships).where(*_RELATED))


# Partners


async def is_partner(tx: Reading, organization_id: str, partner_id: str) -> bool:
    """Whether the one has named the other its partner; the other way round is another matter."""
    return await tx.row(_RELATIONSHIP, organization_id=organization_id, partner_id=partner_id) is not None


async def partners_count(tx: Reading, organization_id: str) -> int:
    row = await tx.row(_COUNT, organization_id=organization_id)
    assert row is not None, "a count is a row"
    return int(row["count"])


async def insert_partner(tx: Writing, organization_id: str, partner_id: str, now: int) -> None:
    row = {"organization_id": organization_id, "partner_id": partner_id, "created_at": now}
    await tx.insert(relationships, row)


async def remove_partner(tx: Writing, organization_id: str, partner_id: str) -> bool:
    """Whether there was such a partner."""
    return await tx.execute(_REMOVE, organization_id=organization_id, partner_id=partner_id) > 0


def partners_of(organization_id: str) -> ColumnElement[bool]:
    """Of organizations: the partners of one."""
    mine = select(relationships.c.partner_id).where(relationships.c.organization_id == organization_id)
    return organizations.c.id.in_(mine)


# Holders


async def with_delegates(tx: Reading, report: Report) -> Report:
    """The report with those who hold it besides its owner, in the order in which it came to them."""
    if report.delegated_to is None:
        return report
    rows = await tx.rows(_DELEGATES, report_id=report.id)
    return replace(report, delegates=tuple(row["organization_id"] for row in rows))


async def insert_delegation(tx: Writing, report_id: str, organization_id: str, delegated_from: str, now: int) -> None:
    row = {"report_id": report_id, "organization_id": organization_id}
    await tx.insert(delegations, {**row, "delegated_from": delegated_from, "created_at": now})


async def holders(tx: Reading, feedback_id: str) -> set[str]:
    """The organizations that hold a report of the feedback, by owning it or by delegation."""
    rows = await tx.rows(_HOLDERS, feedback_id=feedback_id)
    return {one for row in rows for one in (row["organization_id"], row["delegate"]) if one is not None}


async def holds_others(tx: Reading, organization_id: str) -> bool:
    """Whether a report was ever delegated to the organization: else what it owns is all that it holds."""
    return await tx.row(_ANY_DELEGATED, organization_id=organization_id) is not None


def operations_held_by(organization_ids: Sequence[str]) -> ColumnElement[bool]:
    """Of operations: those of the reports that one of the organizations holds."""
    delegated = operations.c.report_id.in_(delegated_to(organization_ids))
    return or_(operations.c.organization_id.in_(organization_ids), delegated)


def held_by(organization_ids: Sequence[str]) -> ColumnElement[bool]:
    """Of reports: those that one of the organizations holds; to be asked of few reports at a time."""
    delegated = exists().where(
        delegations.c.report_id == reports.c.id, delegations.c.organization_id.in_(organization_ids)
    )
    return or_(reports.c.organization_id.in_(organization_ids), delegated)


def feedback_delegated_to(organization_ids: Sequence[str]) -> ColumnElement[bool]:
    """Of feedback: that of which a report was delegated to one of the organizations."""
    return feedbacks.c.id.in_(select(reports.c.feedback_id).where(reports.c.id.in_(delegated_to(organization_ids))))


def delegated_to(organization_ids: Iterable[str]) -> Select[tuple[str]]:
    """The ids of reports that were."""
    return select(delegations.c.report_id).where(delegations.c.organization_id.in_(list(organization_ids)))

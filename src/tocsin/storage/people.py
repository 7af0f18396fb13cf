"""People: their rows, and who they belong to."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, CompoundSelect, Text, bindparam, func, literal, or_, select, union

from tocsin.domain.languages import Language
from tocsin.domain.page import Page, Paging
from tocsin.domain.resources import Person
from tocsin.storage.collections import Branch, page_of, search
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.partners import delegated_to, held_by
from tocsin.storage.schema import feedbacks, members, operations, people, reports
from tocsin.storage.statements import Query

_FIRST_MEMBERSHIP = (
    select(members.c.organization_id)
    .where(members.c.person_id == people.c.id)
    .order_by(members.c.created_at, members.c.id)
    .limit(1)
    .scalar_subquery()
)
_PERSON = Query(select(people, _FIRST_MEMBERSHIP.label("member_of")).where(people.c.id == bindparam("id")))
_LOCK = Query(select(people.c.id).where(people.c.id == bindparam("id")).with_for_update(key_share=True))
_BY_EMAIL = Query(select(people).where(people.c.email_folded == bindparam("email_folded")))

_PRESENCE = select(people.c.erased_at).where(people.c.id == bindparam("id"))
_SHARED = Query(_PRESENCE.with_for_update(read=True))
_LOCKED = Query(_PRESENCE.with_for_update())


FEW: Final = 1_000
"""People that are found by leaps through an index, one by one, and named in a statement."""


def _leaps(column: Column[Any]) -> Query:
    """The different values of a column in an organization's rows, of which there are many for each: an index of the two
    leads from each value to the next. One more than FEW at most."""
    least = select(func.min(column)).where(column.table.c.organization_id == bindparam("organization_id"))
    leap = select(least.scalar_subquery().label("id")).cte("leap", recursive=True)
    beyond = least.where(column > leap.c.id).correlate(leap).scalar_subquery()
    leap = leap.union_all(select(beyond).where(leap.c.id.is_not(None)))
    return Query(select(leap.c.id).where(leap.c.id.is_not(None)).limit(FEW + 1))


_REPORTERS = _leaps(reports.c.reporter_id)
_OPERATORS = _leaps(operations.c.operator_id)


def fold(email: str) -> str:
    """What makes two e-mail addresses the same account."""
    return email.casefold()


def person(row: Row, member_of: str | None = None) -> Person:
    return Person(
        id=row["id"],
        email=row["email"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        given_name=row["given_name"],
        family_name=row["family_name"],
        job_title=row["job_title"],
        opt_in=bool(row["opt_in"]),
        message_email_enabled=bool(row["message_email_enabled"]),
        message_push_enabled=bool(row["message_push_enabled"]),
        member_of=member_of,
        image_id=row["image_id"],
        erased_at=row["erased_at"],
    )


async def find(tx: Reading, person_id: str) -> Person | None:
    row = await tx.row(_PERSON, id=person_id)
    return None if row is None else person(row, row["member_of"])


async def lock(tx: Writing, person_id: str) -> None:
    """Until the end of the transaction."""
    await tx.row(_LOCK, id=person_id)


async def by_email(tx: Reading, email: str) -> Row | None:
    """The whole row, with the password's hash."""
    return await tx.row(_BY_EMAIL, email_folded=fold(email))


async def insert(tx: Writing, one: Person, password_hash: str | None, language: Language | None = None) -> None:
    await tx.insert(
        people,
        {
            "id": one.id,
            "email": one.email,
            "email_folded": fold(one.email),
            "password_hash": password_hash,
            "password_changed_at": one.created_at,
            "language": language,
            "created_at": one.created_at,
            "updated_at": one.updated_at,
        },
    )


async def lock_present(tx: Reading, person_id: str, *, to_change: bool = False) -> bool:
    """Whether the person is there; then it is not erased before the end of the transaction.

    `to_change`: nor changed by anybody else.
    """
    row = await tx.row(_LOCKED if to_change else _SHARED, id=person_id)
    return row is not None and row["erased_at"] is None


async def set_password(tx: Writing, person_id: str, password_hash: str, at: int) -> None:
    changes = {"password_hash": password_hash, "password_changed_at": at, "updated_at": at}
    await tx.update(people, person_id, changes)


def people_search(wanted: dict[str, str | None]) -> list[ColumnElement[bool]]:
    """By column; `username` is the e-mail address by another name."""
    by_column = {name: text for name, text in wanted.items() if name != "username"}
    return [*search(people, by_column), *search(people, {"email": wanted.get("username")})]


async def visible_to(tx: Reading, person_id: str | None, organization_ids: Sequence[str]) -> ColumnElement[bool]:
    """Oneself, fellow members, and whoever made or works on a report that an organization of the caller's holds."""
    delegated = delegated_to(organization_ids)
    reporters, operators = select(reports.c.reporter_id.label("id")), select(operations.c.operator_id.label("id"))
    others = [
        select(literal(person_id, Text).label("id")),
        select(members.c.person_id.label("id")).where(members.c.organization_id.in_(organization_ids)),
        reporters.where(reports.c.id.in_(delegated)),
        operators.where(operations.c.report_id.in_(delegated)),
    ]
    few = await _few(tx, organization_ids, union(*others))
    if few is not None:
        return people.c.id.in_(few)
    own = (
        reporters.where(reports.c.organization_id.in_(organization_ids)),
        operators.where(operations.c.organization_id.in_(organization_ids)),
    )
    return people.c.id.in_(union(*others, *own))


async def _few(tx: Reading, organization_ids: Sequence[str], others: CompoundSelect[Any]) -> Sequence[str] | None:
    """The ids of whoever made or works on an organization's own reports, and of the others; None: there are many."""
    found: set[str] = set()
    for organization_id in organization_ids:
        for leaps in (_REPORTERS, _OPERATORS):
            found |= {row["id"] for row in await tx.rows(leaps, organization_id=organization_id)}
            if len(found) > FEW:
                return None
    found |= {row["id"] for row in await tx.rows(others.limit(FEW + 1)) if row["id"] is not None}
    return sorted(found) if len(found) <= FEW else None


async def sees(tx: Reading, wanted_id: str, person_id: str | None, organization_ids: Sequence[str]) -> bool:
    """As `visible_to`, of one person."""
    if wanted_id == person_id:
        return True
    fellow = select(members.c.id).where(
        members.c.person_id == wanted_id, members.c.organization_id.in_(organization_ids)
    )
    held = (
        select(feedbacks.c.id)
        .join(reports, reports.c.feedback_id == feedbacks.c.id)
        .where(feedbacks.c.reporter_id == wanted_id, held_by(organization_ids))
    )
    worked = (
        select(operations.c.id)
        .join(reports, reports.c.id == operations.c.report_id)
        .where(operations.c.operator_id == wanted_id, held_by(organization_ids))
    )
    row = await tx.row(select(or_(fellow.exists(), held.exists(), worked.exists()).label("seen")))
    assert row is not None, "a question has an answer"
    return bool(row["seen"])


async def visible_page(
    tx: Reading,
    person_id: str | None,
    organization_ids: Sequence[str],
    wanted: dict[str, str | None],
    paging: Paging,
) -> Page[Person]:
    present = people.c.erased_at.is_(None)
    conditions = [present, await visible_to(tx, person_id, organization_ids), *people_search(wanted)]
    known = Branch(people.c.id, people.c.created_at, conditions, dear=True)
    found = await page_of(tx, people, [known], paging, person)
    ids = [one.id for one in found.items]
    first = select(people.c.id, _FIRST_MEMBERSHIP.label("member_of")).where(people.c.id.in_(ids))
    belongs = {row["id"]: row["member_of"] for row in await tx.rows(first)}
    return found.map(lambda one: _of(one, belongs[one.id]))


def _of(one: Person, organization_id: str | None) -> Person:
    return replace(one, member_of=organization_id)

"""People: their rows, and who they belong to."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, Text, bindparam, literal, select, union

from tocsin.domain.page import Page, Paging
from tocsin.domain.resources import Person
from tocsin.storage.collections import Branch, page_of, search
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.schema import members, people, reports
from tocsin.storage.statements import Query

_FIRST_MEMBERSHIP = (
    select(members.c.organization_id)
    .where(members.c.person_id == people.c.id)
    .order_by(members.c.created_at, members.c.id)
    .limit(1)
    .scalar_subquery()
)
_PERSON = Query(select(people, _FIRST_MEMBERSHIP.label("member_of")).where(people.c.id == bindparam("id")))
_BY_EMAIL = Query(select(people).where(people.c.email_folded == bindparam("email_folded")))


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
    )


async def find(tx: Reading, person_id: str) -> Person | None:
    row = await tx.row(_PERSON, id=person_id)
    return None if row is None else person(row, row["member_of"])


async def by_email(tx: Reading, email: str) -> Row | None:
    """The whole row, with the password's hash."""
    return await tx.row(_BY_EMAIL, email_folded=fold(email))


async def insert(tx: Writing, one: Person, password_hash: str | None) -> None:
    await tx.insert(
        people,
        {
            "id": one.id,
            "email": one.email,
            "email_folded": fold(one.email),
            "password_hash": password_hash,
            "password_changed_at": one.created_at,
            "created_at": one.created_at,
            "updated_at": one.updated_at,
        },
    )


async def set_password(tx: Writing, person_id: str, password_hash: str, at: int) -> None:
    changes = {"password_hash": password_hash, "password_changed_at": at, "updated_at": at}
    await tx.update(people, person_id, changes)


def visible_to(person_id: str | None, organization_ids: Sequence[str]) -> ColumnElement[bool]:
    """Oneself, fellow members, and whoever an organization of the caller's holds a report of."""
    holders = (reports.c.organization_id, reports.c.delegated_to, reports.c.delegated_from)
    known = [select(members.c.person_id).where(members.c.organization_id.in_(organization_ids))]
    known += [select(reports.c.reporter_id).where(holder.in_(organization_ids)) for holder in holders]
    return people.c.id.in_(union(select(literal(person_id, Text)), *known))


async def sees(tx: Reading, wanted_id: str, person_id: str | None, organization_ids: Sequence[str]) -> bool:
    statement = select(people.c.id).where(people.c.id == wanted_id, visible_to(person_id, organization_ids))
    return await tx.row(statement) is not None


async def visible_page(
    tx: Reading,
    person_id: str | None,
    organization_ids: Sequence[str],
    wanted: dict[str, str | None],
    paging: Paging,
) -> Page[Person]:
    conditions = [visible_to(person_id, organization_ids), *search(people, wanted)]
    known = Branch(people.c.id, people.c.created_at, conditions, dear=True)
    found = await page_of(tx, people, [known], paging, person)
    ids = [one.id for one in found.items]
    first = select(people.c.id, _FIRST_MEMBERSHIP.label("member_of")).where(people.c.id.in_(ids))
    belongs = {row["id"]: row["member_of"] for row in await tx.rows(first)}
    return found.map(lambda one: _of(one, belongs[one.id]))


def _of(one: Person, organization_id: str | None) -> Person:
    return replace(one, member_of=organization_id)

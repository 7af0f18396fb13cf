"""What people are to be told of, and the mails that tell it: an outbox, emptied by whichever node is first.

A notice is written in the transaction of what it tells of. It becomes mails, and a mail goes away, in transactions of
their own; a row that somebody else works on is passed over.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, or_, select, true, update

from tocsin.domain.languages import DEFAULT, Language
from tocsin.domain.mails import Notice, NoticeKind
from tocsin.domain.roles import Role
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.schema import mails, members, notices, password_links, people
from tocsin.storage.statements import Query

_ANY_NOTICE = Query(select(notices.c.id).limit(1))
_ANY_DUE = Query(select(mails.c.id).where(mails.c.next_attempt_at <= bindparam("now")).limit(1))
_NOTICES = Query(select(notices).order_by(notices.c.id).limit(bindparam("limit")).with_for_update(skip_locked=True))
_NOTICE = Query(select(notices).where(notices.c.id == bindparam("id")).with_for_update(skip_locked=True))
_NOTICE_IDS = Query(select(notices.c.id).order_by(notices.c.id).limit(bindparam("limit")))
_REMOVE_OLD_NOTICES = Query(delete(notices).where(notices.c.created_at < bindparam("before")))
_DUE = Query(
    select(mails)
    .where(mails.c.next_attempt_at <= bindparam("now"))
    .order_by(mails.c.failures, mails.c.next_attempt_at)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_WAITING = Query(select(func.count().label("found")).select_from(mails))
_ADMINS = Query(
    select(people.c.id, people.c.email, people.c.language)
    .join(members, members.c.person_id == people.c.id)
    .where(members.c.organization_id == bindparam("organization_id"))
    .where(members.c.roles.like(f'%"{Role.ADMIN}"%'))
    .where(people.c.message_email_enabled == true())
    .order_by(people.c.id)
)
_PERSON = Query(select(people).where(people.c.id == bindparam("id")))
_LINKS_SINCE = Query(
    select(func.count().label("found")).where(
        password_links.c.person_id == bindparam("person_id"), password_links.c.created_at > bindparam("since")
    )
)
_FORGET = Query(delete(mails).where(mails.c.person_id == bindparam("person_id")))
_FORGET_NOTICES = Query(
    delete(notices).where(or_(notices.c.person_id == bindparam("person_id"), notices.c.address == bindparam("address")))
)


class Addressee(NamedTuple):
    """`person_id`: None for an organization's address."""

    address: str
    language: Language
    person_id: str | None = None


class Due(NamedTuple):
    """A mail to be sent now; `content` is sealed."""

    id: str
    kind: NoticeKind
    content: bytes
    failures: int
    created_at: int


# Notices


async def tell(tx: Writing, notice: Notice, now: int) -> None:
    row = {
        "kind": notice.kind.value,
        "organization_id": notice.organization_id,
        "person_id": notice.person_id,
        "subject_id": notice.subject_id,
        "actor_id": notice.actor_id,
        "address": notice.address,
        "details": json.dumps(dict(notice.details)),
        "created_at": now,
    }
    await tx.insert(notices, row)


async def waiting_notices(tx: Reading, limit: int) -> list[int]:
    return [row["id"] for row in await tx.rows(_NOTICE_IDS, limit=limit)]


async def take_notices(tx: Writing, limit: int) -> list[tuple[int, Notice]]:
    """The oldest that nobody else works on, locked."""
    return [_notice(row) for row in await tx.rows(_NOTICES, limit=limit)]


async def take_notice(tx: Writing, notice_id: int) -> list[tuple[int, Notice]]:
    """The one, unless it is gone or somebody else works on it."""
    return [_notice(row) for row in await tx.rows(_NOTICE, id=notice_id)]


def _notice(row: Row) -> tuple[int, Notice]:
    return row["id"], Notice(
        kind=NoticeKind(row["kind"]),
        organization_id=row["organization_id"],
        person_id=row["person_id"],
        subject_id=row["subject_id"],
        actor_id=row["actor_id"],
        address=row["address"],
        details=json.loads(row["details"]),
    )


async def remove_notices(tx: Writing, notice_ids: Sequence[int]) -> None:
    if notice_ids:
        await tx.execute(delete(notices).where(notices.c.id.in_(notice_ids)))


async def remove_old_notices(tx: Writing, before: int) -> int:
    return await tx.execute(_REMOVE_OLD_NOTICES, before=before)


# Who is told


async def admins(tx: Reading, organization_id: str) -> list[Addressee]:
    """Those who want mails."""
    rows = await tx.rows(_ADMINS, organization_id=organization_id)
    return [Addressee(row["email"], language(row), row["id"]) for row in rows]


async def person(tx: Reading, person_id: str) -> Row | None:
    return await tx.row(_PERSON, id=person_id)


def language(row: Row) -> Language:
    """That a person (a row of people) prefers."""
    return DEFAULT if row["language"] is None else Language(row["language"])


async def links_since(tx: Reading, person_id: str, since: int) -> int:
    """How many links to set a password the person was mailed."""
    row = await tx.row(_LINKS_SINCE, person_id=person_id, since=since)
    assert row is not None, "a count is a row"
    return int(row["found"])


# Mails


async def insert(tx: Writing, mail_id: str, kind: NoticeKind, person_id: str | None, content: bytes, now: int) -> None:
    row = {"id": mail_id, "kind": kind.value, "person_id": person_id, "content": content}
    await tx.insert(mails, {**row, "next_attempt_at": now, "created_at": now})


async def any_work(tx: Reading, now: int) -> bool:
    return await tx.row(_ANY_NOTICE) is not None or await tx.row(_ANY_DUE, now=now) is not None


async def take(tx: Writing, now: int, limit: int, until: int) -> list[Due]:
    """Due mails that nobody else is sending; nobody else does before `until`."""
    rows = await tx.rows(_DUE, now=now, limit=limit)
    found = [
        Due(row["id"], NoticeKind(row["kind"]), bytes(row["content"]), row["failures"], row["created_at"])
        for row in rows
    ]
    if found:
        ids = [one.id for one in found]
        await tx.execute(update(mails).where(mails.c.id.in_(ids)).values(next_attempt_at=until))
    return found


async def put_off(tx: Writing, mail_id: str, failures: int, at: int) -> None:
    await tx.update(mails, mail_id, {"failures": failures, "next_attempt_at": at})


async def remove(tx: Writing, mail_ids: Sequence[str]) -> None:
    if mail_ids:
        await tx.execute(delete(mails).where(mails.c.id.in_(mail_ids)))


async def waiting(tx: Reading) -> int:
    row = await tx.row(_WAITING)
    assert row is not None, "a count is a row"
    return int(row["found"])


async def forget(tx: Writing, person_id: str, address: str) -> int:
    """Everything on its way to the person; `address` folded."""
    await tx.execute(_FORGET_NOTICES, person_id=person_id, address=address)
    return await tx.execute(_FORGET, person_id=person_id)

"""Organizations with their members, tokens and the beginning of their logs."""

import json
from collections.abc import Iterable

from sqlalchemy import ColumnElement, bindparam, delete, exists, func, select

from tocsin.domain.events import Event
from tocsin.domain.page import Page, Paging
from tocsin.domain.resources import Member, Organization, Token
from tocsin.domain.roles import Role
from tocsin.storage.collections import page
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.people import people_search
from tocsin.storage.schema import heads, logs, members, organizations, people, tokens
from tocsin.storage.statements import Query

_LOCK = Query(select(organizations.c.id).where(organizations.c.id == bindparam("id")).with_for_update(key_share=True))
_ORGANIZATION = Query(select(organizations).where(organizations.c.id == bindparam("id")))
_MEMBER = Query(select(members).where(members.c.id == bindparam("id")))
_MEMBERSHIPS = Query(select(members).where(members.c.person_id == bindparam("person_id")))
_OF_ORGANIZATION = Query(select(members).where(members.c.organization_id == bindparam("organization_id")))
_MEMBERSHIP = Query(
    select(members).where(
        members.c.organization_id == bindparam("organization_id"), members.c.person_id == bindparam("person_id")
    )
)
_TOKEN = Query(select(tokens).where(tokens.c.id == bindparam("id")))
_BY_HASH = Query(select(tokens).where(tokens.c.hash == bindparam("hash")))
_REMOVE_MEMBER = Query(delete(members).where(members.c.id == bindparam("id")))
_REMOVE_TOKEN = Query(delete(tokens).where(tokens.c.id == bindparam("id")))
_CALLER_PERSON = Query(
    select(people.c.password_changed_at, members.c.organization_id, members.c.roles)
    .select_from(people.outerjoin(members, members.c.person_id == people.c.id))
    .where(people.c.id == bindparam("person_id"), people.c.erased_at.is_(None))
)


def organization(row: Row) -> Organization:
    return Organization(
        id=row["id"],
        name=row["name"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        alternate_name=row["alternate_name"],
        description=row["description"],
        business_activity_id=row["business_activity_id"],
        billing_email_address=row["billing_email_address"],
        notification_email_address=row["notification_email_address"],
        enabled=bool(row["enabled"]),
        logo_id=row["logo_id"],
    )


def member(row: Row) -> Member:
    roles = tuple(json.loads(row["roles"]))
    return Member(row["id"], row["person_id"], row["organization_id"], roles, row["created_at"])


def token(row: Row) -> Token:
    roles = tuple(json.loads(row["roles"]))
    return Token(row["id"], row["organization_id"], row["name"], roles, row["created_at"], row["expires_at"])


async def find(tx: Reading, organization_id: str) -> Organization | None:
    row = await tx.row(_ORGANIZATION, id=organization_id)
    return None if row is None else organization(row)


async def lock(tx: Writing, organization_id: str) -> None:
    """Until the end of the transaction: whoever counts or nests what an organization has does it alone.

    Others may still refer to the organization: reports come in meanwhile.
    """
    await tx.row(_LOCK, id=organization_id)


async def insert(tx: Writing, one: Organization) -> None:
    """With the organization's log, empty."""
    await tx.insert(
        organizations,
        {
            "id": one.id,
            "name": one.name,
            "alternate_name": one.alternate_name,
            "description": one.description,
            "business_activity_id": one.business_activity_id,
            "billing_email_address": one.billing_email_address,
            "notification_email_address": one.notification_email_address,
            "created_at": one.created_at,
            "updated_at": one.updated_at,
            "logo_id": one.logo_id,
        },
    )
    await tx.insert(logs, {"organization_id": one.id, "occurred_at": one.created_at})
    for event in Event:
        await tx.insert(heads, {"organization_id": one.id, "event": event.value})


async def organizations_page(tx: Reading, conditions: list[ColumnElement[bool]], paging: Paging) -> Page[Organization]:
    return await page(tx, organizations, conditions, paging, organization)


async def caller_roles(tx: Reading, person_id: str) -> tuple[int, dict[str, frozenset[str]]] | None:
    """When the person's password was changed, and the roles by organization; None: there is no such person."""
    rows = await tx.rows(_CALLER_PERSON, person_id=person_id)
    if not rows:
        return None
    roles = {row["organization_id"]: frozenset(json.loads(row["roles"])) for row in rows if row["organization_id"]}
    return rows[0]["password_changed_at"], roles


# Members


async def find_member(tx: Reading, member_id: str) -> Member | None:
    row = await tx.row(_MEMBER, id=member_id)
    return None if row is None else member(row)


async def membership(tx: Reading, organization_id: str, person_id: str) -> Member | None:
    row = await tx.row(_MEMBERSHIP, organization_id=organization_id, person_id=person_id)
    return None if row is None else member(row)


async def memberships(tx: Reading, person_id: str) -> list[Member]:
    return [member(row) for row in await tx.rows(_MEMBERSHIPS, person_id=person_id)]


async def admins(tx: Reading, organization_id: str) -> list[Member]:
    rows = await tx.rows(_OF_ORGANIZATION, organization_id=organization_id)
    return [one for one in map(member, rows) if Role.ADMIN in one.roles]


async def insert_member(tx: Writing, one: Member) -> None:
    await tx.insert(
        members,
        {
            "id": one.id,
            "organization_id": one.organization_id,
            "person_id": one.person_id,
            "roles": json.dumps(one.roles),
            "created_at": one.created_at,
        },
    )


async def set_roles(tx: Writing, member_id: str, roles: Iterable[str]) -> None:
    await tx.update(members, member_id, {"roles": json.dumps(list(roles))})


async def remove_member(tx: Writing, member_id: str) -> None:
    await tx.execute(_REMOVE_MEMBER, id=member_id)


async def members_page(
    tx: Reading, organization_id: str, role: str | None, wanted: dict[str, str | None], paging: Paging
) -> Page[Member]:
    return await _members(tx, [members.c.organization_id == organization_id], role, wanted, paging)


async def memberships_page(
    tx: Reading,
    person_id: str,
    organization_ids: Iterable[str],
    role: str | None,
    wanted: dict[str, str | None],
    paging: Paging,
) -> Page[Member]:
    """A person's memberships in the organizations."""
    conditions = [members.c.person_id == person_id, members.c.organization_id.in_(list(organization_ids))]
    return await _members(tx, conditions, role, wanted, paging)


async def _members(
    tx: Reading,
    conditions: list[ColumnElement[bool]],
    role: str | None,
    wanted: dict[str, str | None],
    paging: Paging,
) -> Page[Member]:
    if role is not None:
        conditions.append(members.c.roles.like(f'%"{role}"%'))
    if any(wanted.values()):
        conditions.append(exists().where(people.c.id == members.c.person_id, *people_search(wanted)))
    return await page(tx, members, conditions, paging, member)


async def is_agent_elsewhere(tx: Reading, person_id: str, organization_id: str) -> bool:
    found = await memberships(tx, person_id)
    return any(Role.AGENT in one.roles and one.organization_id != organization_id for one in found)


# Tokens


async def find_token(tx: Reading, token_id: str) -> Token | None:
    row = await tx.row(_TOKEN, id=token_id)
    return None if row is None else token(row)


async def token_by_hash(tx: Reading, digest: bytes) -> Token | None:
    row = await tx.row(_BY_HASH, hash=digest)
    return None if row is None else token(row)


async def insert_token(tx: Writing, one: Token, digest: bytes) -> None:
    await tx.insert(
        tokens,
        {
            "id": one.id,
            "organization_id": one.organization_id,
            "name": one.name,
            "roles": json.dumps(one.roles),
            "hash": digest,
            "expires_at": one.expires_at,
            "created_at": one.created_at,
        },
    )


async def remove_token(tx: Writing, token_id: str) -> None:
    await tx.execute(_REMOVE_TOKEN, id=token_id)


async def tokens_page(tx: Reading, organization_id: str, paging: Paging) -> Page[Token]:
    return await page(tx, tokens, [tokens.c.organization_id == organization_id], paging, token)


async def tokens_count(tx: Reading, organization_id: str) -> int:
    row = await tx.row(select(func.count().label("n")).where(tokens.c.organization_id == organization_id))
    assert row is not None
    return int(row["n"])

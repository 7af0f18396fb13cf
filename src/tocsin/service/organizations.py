"""Organizations, their members and their tokens: who belongs, and what each may do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement

from tocsin.domain.audit import Action
from tocsin.domain.errors import Conflict, Forbidden, Invalid, NotFound, Violation
from tocsin.domain.page import Page, Paging
from tocsin.domain.pictures import Picture
from tocsin.domain.resources import Member, Organization, Person, Token
from tocsin.domain.roles import Permission, Role
from tocsin.domain.wanted import OrganizationsWanted
from tocsin.service.audit import record
from tocsin.service.authentication import TOKEN_BYTES, TOKEN_PREFIX, Authentication, digest, new_credential
from tocsin.service.caller import OPERATOR, Caller
from tocsin.service.context import Context
from tocsin.storage import images, people, places
from tocsin.storage import organizations as stored
from tocsin.storage.collections import given, search
from tocsin.storage.directory_lists import organizations_are
from tocsin.storage.interface import Reading, Writing
from tocsin.storage.schema import organizations as table

TOKENS_MAX: Final = 100
"""Tokens of one organization."""

COLUMNS: Final = {
    "name": "name",
    "alternate_name": "alternate_name",
    "description": "description",
    "billing_email_address": "billing_email_address",
    "notification_email_address": "notification_email_address",
}

ADDRESSES: Final = ("billing_email_address", "notification_email_address")


@dataclass(frozen=True, slots=True)
class Created:
    """What the operator is shown once. `password_link`: None where the admin has a password already."""

    organization: Organization
    admin: Member
    token: str
    password_link: str | None


class Organizations:
    def __init__(self, context: Context, authentication: Authentication) -> None:
        self._context = context
        self._authentication = authentication

    async def create(self, caller: Caller, members: dict[str, Any]) -> Organization:
        """The caller becomes its admin. Raises Forbidden where only the operator creates organizations."""
        if not self._context.open_organizations:
            raise Forbidden("Organizations are created by the operator: tocsin organization create.")
        if caller.person_id is None:
            raise Forbidden("An organization is created by a person.")
        person_id = caller.person_id
        logo = await self._context.pictures.read("logo", members.get("logo", ""))
        others = {name: value for name, value in members.items() if name != "logo"}

        async def insert(tx: Writing) -> Organization:
            logo_id = None if logo is None else self._context.new_id()
            organization, _ = await self._insert(tx, {**others, "logo_id": logo_id}, person_id)
            await images.replace(tx, organization.id, self._logo(caller, organization, logo))
            await self._record_created(tx, caller, organization)
            return organization

        return await self._context.storage.write(insert)

    async def create_for(self, name: str, admin_email: str) -> Created:
        """For the operator: with an admin, found by e-mail address or made, and a token with an admin's rights."""
        credential = self._credential()

        async def insert(tx: Writing) -> Created:
            row = await people.by_email(tx, admin_email)
            person_id = row["id"] if row is not None else await self._person(tx, admin_email)
            organization, admin = await self._insert(tx, {"name": name}, person_id)
            await self._insert_token(tx, organization.id, "operator", (Role.ADMIN, Role.AGENT), None, credential)
            await self._record_created(tx, OPERATOR, organization)
            link = None
            if row is None or row["password_hash"] is None:
                link = await self._authentication.make_link(tx, person_id)
            return Created(organization, admin, credential, link)

        return await self._context.storage.write(insert)

    async def _record_created(self, tx: Writing, caller: Caller, one: Organization) -> None:
        subject = f"organization:{one.id}"
        await record(self._context, tx, caller, Action.ORGANIZATION_CREATED, one.id, subject, name=one.name)

    async def _person(self, tx: Writing, email: str) -> str:
        now = self._context.clock.now()
        person = Person(self._context.new_id(), email, now, now)
        await people.insert(tx, person, None)
        return person.id

    async def _insert(self, tx: Writing, members: dict[str, Any], person_id: str) -> tuple[Organization, Member]:
        activity_id = members.get("business_activity_id")
        if activity_id is not None and await places.find_activity(tx, activity_id) is None:
            raise Invalid(Violation("businessActivity", "There is no such business activity."))
        now = self._context.clock.now()
        organization = Organization(id=self._context.new_id(), created_at=now, updated_at=now, **members)
        await stored.insert(tx, organization)
        admin = Member(self._context.new_id(), person_id, organization.id, (Role.ADMIN,), now)
        await stored.insert_member(tx, admin)
        return organization, admin

    async def get(self, organization_id: str) -> Organization:
        async with self._context.storage.read() as tx:
            return await _found(tx, organization_id)

    async def page(
        self, caller: Caller, of: OrganizationsWanted, wanted: Mapping[str, str | None], paging: Paging
    ) -> Page[Organization]:
        """E-mail addresses are searched in the caller's own organizations only: others don't see theirs."""
        async with self._context.storage.read() as tx:
            return await stored.organizations_page(tx, await searched(tx, caller, of, wanted), paging)

    async def change(self, caller: Caller, organization_id: str, members: dict[str, Any]) -> Organization:
        if members.get("logo"):
            async with self._context.storage.read() as reading:  # nobody else's pictures are worth decoding
                await _editable(reading, caller, organization_id)
        logo = await self._context.pictures.read("logo", members.get("logo", ""))

        async def change(tx: Writing) -> Organization:
            await _editable(tx, caller, organization_id)
            if not members:
                return await _found(tx, organization_id)
            values = {**given(members, COLUMNS), "updated_at": self._context.clock.now()}
            if "logo" in members:
                values["logo_id"] = None if logo is None else self._context.new_id()
            await tx.update(table, organization_id, values)
            changed = await _found(tx, organization_id)
            if "logo" in members:
                await images.replace(tx, organization_id, self._logo(caller, changed, logo))
            action, subject = Action.ORGANIZATION_CHANGED, f"organization:{organization_id}"
            await record(self._context, tx, caller, action, organization_id, subject, members=sorted(members))
            return changed

        return await self._context.storage.write(change)

    def _logo(self, caller: Caller, one: Organization, logo: Picture | None) -> images.NewImage | None:
        """What the organization names as its logo, to be stored."""
        if one.logo_id is None or logo is None:
            return None
        return images.NewImage(one.logo_id, "Organization", one.id, logo, caller.actor, one.updated_at)

    # Members

    async def members(
        self, caller: Caller, organization_id: str, role: str | None, wanted: dict[str, str | None], paging: Paging
    ) -> Page[Member]:
        caller.require_sight(organization_id)
        async with self._context.storage.read() as tx:
            return await stored.members_page(tx, organization_id, role, wanted, paging)

    async def member(self, caller: Caller, organization_id: str, member_id: str) -> Member:
        caller.require_sight(organization_id)
        async with self._context.storage.read() as tx:
            return await _member(tx, organization_id, member_id)

    async def add_member(self, caller: Caller, organization_id: str, person_id: str) -> Member:
        """Without roles. Raises Conflict where the person is a member already."""
        caller.require(Permission.MANAGE_MEMBERS, organization_id)

        async def insert(tx: Writing) -> Member:
            if not await people.lock_present(tx, person_id):
                raise Invalid(Violation("person", "There is no such person."))
            if await stored.membership(tx, organization_id, person_id) is not None:
                raise Conflict("The person is a member already.", "person")
            member = Member(self._context.new_id(), person_id, organization_id, (), self._context.clock.now())
            await stored.insert_member(tx, member)
            await record(
                self._context, tx, caller, Action.MEMBER_ADDED, organization_id, f"member:{member.id}", person=person_id
            )
            return member

        return await self._context.storage.write(insert)

    async def set_roles(
        self, caller: Caller, organization_id: str, member_id: str, roles: Sequence[str] | None
    ) -> Member:
        """None: as they are. Raises Conflict where the last admin would go, or an agent has a second organization."""
        caller.require(Permission.MANAGE_MEMBERS, organization_id)
        wanted = tuple(role.value for role in Role if role in set(roles or ()))

        async def change(tx: Writing) -> Member:
            await stored.lock(tx, organization_id)
            member = await _member(tx, organization_id, member_id)
            if roles is None:
                return member
            if Role.ADMIN not in wanted:
                await _an_admin_stays(tx, member)
            if Role.AGENT in wanted:
                await _no_agent_elsewhere(tx, member)
            await stored.set_roles(tx, member_id, wanted)
            details = {"person": member.person_id, "roles": list(wanted)}
            await record(
                self._context, tx, caller, Action.MEMBER_CHANGED, organization_id, f"member:{member_id}", **details
            )
            return await _member(tx, organization_id, member_id)

        return await self._context.storage.write(change)

    async def remove_member(self, caller: Caller, organization_id: str, member_id: str) -> None:
        """Raises Conflict where the last admin would go."""
        caller.require(Permission.MANAGE_MEMBERS, organization_id)

        async def remove(tx: Writing) -> None:
            await stored.lock(tx, organization_id)
            member = await _member(tx, organization_id, member_id)
            await _an_admin_stays(tx, member)
            await stored.remove_member(tx, member_id)
            details = {"person": member.person_id}
            await record(
                self._context, tx, caller, Action.MEMBER_REMOVED, organization_id, f"member:{member_id}", **details
            )

        await self._context.storage.write(remove)

    # Tokens

    async def create_token(
        self, caller: Caller, organization_id: str, name: str, roles: Sequence[str], expires_at: int | None
    ) -> tuple[Token, str]:
        """The token, and the credential that is shown this once."""
        caller.require(Permission.MANAGE_TOKENS, organization_id)
        if expires_at is not None and expires_at <= self._context.clock.now():
            raise Invalid(Violation("expiresAt", "This is past already."))
        credential = self._credential()

        async def insert(tx: Writing) -> Token:
            await stored.lock(tx, organization_id)
            if await stored.tokens_count(tx, organization_id) >= TOKENS_MAX:
                raise Conflict(f"An organization has at most {TOKENS_MAX} tokens.")
            token = await self._insert_token(tx, organization_id, name, tuple(roles), expires_at, credential)
            details = {"name": name, "roles": list(token.roles)}
            await record(
                self._context, tx, caller, Action.TOKEN_CREATED, organization_id, f"token:{token.id}", **details
            )
            return token

        return await self._context.storage.write(insert), credential

    async def _insert_token(
        self,
        tx: Writing,
        organization_id: str,
        name: str,
        roles: tuple[str, ...],
        expires_at: int | None,
        credential: str,
    ) -> Token:
        now = self._context.clock.now()
        ordered = tuple(role.value for role in Role if role in roles)
        token = Token(self._context.new_id(), organization_id, name, ordered, now, expires_at)
        await stored.insert_token(tx, token, digest(credential))
        return token

    async def tokens(self, caller: Caller, organization_id: str, paging: Paging) -> Page[Token]:
        caller.require_sight(organization_id)
        async with self._context.storage.read() as tx:
            return await stored.tokens_page(tx, organization_id, paging)

    async def token(self, caller: Caller, token_id: str) -> Token:
        async with self._context.storage.read() as tx:
            return await _token(tx, caller, token_id)

    async def revoke_token(self, caller: Caller, token_id: str) -> None:
        async def remove(tx: Writing) -> None:
            token = await _token(tx, caller, token_id)
            caller.require(Permission.MANAGE_TOKENS, token.organization_id)
            await stored.remove_token(tx, token_id)
            details = {"name": token.name}
            await record(
                self._context, tx, caller, Action.TOKEN_REMOVED, token.organization_id, f"token:{token_id}", **details
            )

        await self._context.storage.write(remove)

    def _credential(self) -> str:
        return TOKEN_PREFIX + new_credential(self._context.entropy(TOKEN_BYTES))


async def _found(tx: Reading, organization_id: str) -> Organization:
    organization = await stored.find(tx, organization_id)
    if organization is None:
        raise NotFound("There is no such organization.")
    return organization


async def _editable(tx: Reading, caller: Caller, organization_id: str) -> None:
    await _found(tx, organization_id)
    if not caller.may(Permission.EDIT_ORGANIZATION, organization_id):
        raise Forbidden("Only its admins change an organization.")


async def _member(tx: Reading, organization_id: str, member_id: str) -> Member:
    member = await stored.find_member(tx, member_id)
    if member is None or member.organization_id != organization_id:
        raise NotFound("There is no such member.")
    return member


async def _token(tx: Reading, caller: Caller, token_id: str) -> Token:
    token = await stored.find_token(tx, token_id)
    if token is None or not caller.belongs(token.organization_id):
        raise NotFound("There is no such token.")
    return token


async def _no_agent_elsewhere(tx: Writing, member: Member) -> None:
    """Locks the person: of two organizations that make it their agent at once, the second sees what the first did."""
    await people.lock(tx, member.person_id)
    if await stored.is_agent_elsewhere(tx, member.person_id, member.organization_id):
        raise Conflict("The person is an agent of another organization.", "roles")


async def _an_admin_stays(tx: Reading, member: Member) -> None:
    """The organization is locked: of two who remove an admin at once, the second sees what the first did."""
    admins = await stored.admins(tx, member.organization_id)
    if [one.id for one in admins] == [member.id]:
        raise Conflict("An organization keeps at least one admin.", "roles")


async def searched(
    tx: Reading, caller: Caller, of: OrganizationsWanted, wanted: Mapping[str, str | None]
) -> list[ColumnElement[bool]]:
    """Of organizations: those that are wanted; by an e-mail address only the caller's own."""
    conditions = [*await organizations_are(tx, table.c.id, of), *search(table, wanted)]
    if any(wanted.get(address) for address in ADDRESSES) and not caller.operator:
        conditions.append(table.c.id.in_(sorted(caller.roles)))
    return conditions

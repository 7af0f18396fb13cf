"""Erasure of a person: what it said and what is known of it leaves every table, and the bodies of events.

The first transaction erases everything but events, so that nothing new is rendered with it. Events follow, stretch by
stretch of each log that tells of a report of theirs: rendered anew without the report's description, id, sequence and
ordinal unchanged, marked for whoever reads or gets them later. Should the process end meanwhile, housekeeping goes on.
This is the only exception to the rule of the same bytes.
"""

from dataclasses import dataclass
from typing import Final

from tocsin.domain.audit import Action
from tocsin.domain.errors import Conflict, Forbidden, NotFound
from tocsin.domain.roles import Role
from tocsin.hal.notification import without_description
from tocsin.service.audit import record
from tocsin.service.caller import OPERATOR, Caller
from tocsin.service.context import Context
from tocsin.service.people import People
from tocsin.storage import erasure as stored
from tocsin.storage import organizations
from tocsin.storage.interface import Reading, Writing

STRETCH: Final = 1_000
"""Events of a log looked through at a time."""


@dataclass(frozen=True, slots=True)
class Erased:
    """`events`: rendered anew."""

    id: str
    person_id: str
    events: int


class Erasure:
    def __init__(self, context: Context, people: People) -> None:
        self._context = context
        self._people = people

    async def erase_oneself(self, caller: Caller, person_id: str) -> None:
        """Raises Conflict where an organization would lose its last admin."""
        await self._people.get(caller, person_id)
        if caller.person_id != person_id:
            raise Forbidden("Only the person itself has itself erased; or the operator: tocsin person erase.")
        await self._erase(caller, person_id)

    async def erase_for(self, who: str) -> Erased:
        """For the operator; `who`: an e-mail address or an id."""
        async with self._context.storage.read() as tx:
            row = await tx.row(stored.of_address_or_id(who))
        if row is None:
            raise NotFound("There is no such person.")
        return await self._erase(OPERATOR, row["id"])

    async def _erase(self, caller: Caller, person_id: str) -> Erased:
        erasure_id = self._context.new_id()
        await self._context.storage.write(lambda tx: self._leave(tx, caller, person_id, erasure_id))
        return Erased(erasure_id, person_id, await self._rewrite(erasure_id, person_id))

    async def _leave(self, tx: Writing, caller: Caller, person_id: str, erasure_id: str) -> None:
        row = await stored.lock_person(tx, person_id)
        if row is None or row["erased_at"] is not None:
            raise NotFound("There is no such person.")
        memberships = await organizations.memberships(tx, person_id)
        administered = [one.organization_id for one in memberships if Role.ADMIN in one.roles]
        await _admins_stay(tx, person_id, sorted(administered))
        concerned = {one.organization_id for one in memberships}.union(await stored.holders_of(tx, person_id))
        leaving = stored.Leaving(person_id, row["email_folded"], self._context.clock.now())
        for erase in stored.ERASERS:
            await erase(tx, leaving)
        await stored.begin(tx, erasure_id, leaving, caller.actor)
        for organization_id in sorted(concerned):
            action, subject = Action.PERSON_ERASED, f"person:{person_id}"
            await record(self._context, tx, caller, action, organization_id, subject)

    async def resume(self) -> None:
        """What an ended process left undone; beside one that is at it, it does no harm."""
        async with self._context.storage.read() as tx:
            rows = await stored.unfinished(tx)
        for row in rows:
            await self._rewrite(row["id"], row["person_id"])

    async def _rewrite(self, erasure_id: str, person_id: str) -> int:
        """How many events were rendered anew."""
        async with self._context.storage.read() as tx:
            logs = {one: await stored.bounds(tx, one) for one in await stored.holders_of(tx, person_id)}
        changed = 0
        for organization_id, (before, newest) in logs.items():
            for after in range(before, newest, STRETCH):
                last = min(after + STRETCH, newest)
                changed += await self._rewrite_stretch(erasure_id, person_id, organization_id, after, last)
        await self._context.storage.write(lambda tx: stored.finish(tx, erasure_id, self._context.clock.now()))
        return changed

    async def _rewrite_stretch(
        self, erasure_id: str, person_id: str, organization_id: str, after: int, last: int
    ) -> int:
        async with self._context.storage.read() as tx:
            found = await stored.written(tx, person_id, organization_id, after, last)
        anew = [(sequence, without_description(body), body) for sequence, body in found]
        bodies = [(sequence, new) for sequence, new, old in anew if new != old]
        if not bodies:
            return 0
        now = self._context.clock.now()
        return await self._context.storage.write(
            lambda tx: stored.rewrite(tx, erasure_id, organization_id, bodies, now)
        )


async def _admins_stay(tx: Reading, person_id: str, organization_ids: list[str]) -> None:
    """Raises Conflict, naming the organizations of which the person is the last admin."""
    left = []
    for organization_id in organization_ids:
        admins = await organizations.admins(tx, organization_id)
        if [one.person_id for one in admins] == [person_id]:
            organization = await organizations.find(tx, organization_id)
            assert organization is not None, "organizations stay"
            left.append(f"{organization.name} ({organization_id})")
    if left:
        raise Conflict(f"An organization keeps at least one admin; this is the last one of {', '.join(left)}.")

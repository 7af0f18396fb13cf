"""People, as far as the caller may know of them, and what is theirs."""

from typing import Any, Final

from tocsin.domain.errors import Forbidden, Invalid, NotFound, Violation
from tocsin.domain.page import Page, Paging
from tocsin.domain.pictures import Picture
from tocsin.domain.resources import Feedback, Member, Operation, Person
from tocsin.domain.wanted import FeedbackWanted, OperationsWanted
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.service.feedbacks import viewer
from tocsin.storage import images, organizations, reports
from tocsin.storage import people as stored
from tocsin.storage.collections import given
from tocsin.storage.feedback_lists import feedback_for
from tocsin.storage.interface import Reading, Writing
from tocsin.storage.lists import operations_given
from tocsin.storage.schema import people as table

COLUMNS: Final = {
    "given_name": "given_name",
    "family_name": "family_name",
    "job_title": "job_title",
    "opt_in": "opt_in",
    "message_email_enabled": "message_email_enabled",
    "message_push_enabled": "message_push_enabled",
}


class People:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def get(self, caller: Caller, person_id: str) -> Person:
        async with self._context.storage.read() as tx:
            return await _seen(tx, caller, person_id)

    async def page(self, caller: Caller, wanted: dict[str, str | None], paging: Paging) -> Page[Person]:
        async with self._context.storage.read() as tx:
            return await stored.visible_page(tx, caller.person_id, tuple(caller.roles), wanted, paging)

    async def change(self, caller: Caller, person_id: str, members: dict[str, Any]) -> Person:
        """Only oneself. A login goes with its e-mail address. Raises Invalid, path `email`, where that is taken."""

        async with self._context.storage.read() as tx:
            await _oneself(tx, caller, person_id)
        picture = await self._context.pictures.read("image", members.get("image", ""))

        async def change(tx: Writing) -> Person:
            if not await stored.lock_present(tx, person_id, to_change=True):
                raise NotFound("There is no such person.")
            if not members:
                return await _seen(tx, caller, person_id)
            now = self._context.clock.now()
            values = {**given(members, COLUMNS), "updated_at": now}
            if "email" in members:
                values |= await _address(tx, person_id, members["email"])
            image = self._image(caller, person_id, picture, now)
            if "image" in members:
                values["image_id"] = None if image is None else image.id
            await tx.update(table, person_id, values)
            if "image" in members:
                await images.replace(tx, person_id, image)
            return await _seen(tx, caller, person_id)

        return await self._context.storage.write(change)

    def _image(self, caller: Caller, person_id: str, picture: Picture | None, now: int) -> images.NewImage | None:
        if picture is None:
            return None
        return images.NewImage(self._context.new_id(), "Person", person_id, picture, caller.actor, now)

    async def memberships(
        self, caller: Caller, person_id: str, role: str | None, wanted: dict[str, str | None], paging: Paging
    ) -> Page[Member]:
        """One's own; another's in the organizations that one belongs to oneself."""
        async with self._context.storage.read() as tx:
            await _seen(tx, caller, person_id)
            return await organizations.memberships_page(tx, person_id, caller.roles, role, wanted, paging)

    async def operations(
        self, caller: Caller, person_id: str, wanted: OperationsWanted, paging: Paging
    ) -> Page[Operation]:
        """Those given to the person that the caller may see."""
        async with self._context.storage.read() as tx:
            await _seen(tx, caller, person_id)
            branches = operations_given(person_id, tuple(caller.roles), wanted)
            return await reports.operations_page(tx, branches, paging)

    async def feedbacks(self, caller: Caller, person_id: str, wanted: FeedbackWanted, paging: Paging) -> Page[Feedback]:
        """Those of the person that the caller may see; `wanted`: with the person as reporter."""
        async with self._context.storage.read() as tx:
            await _seen(tx, caller, person_id)
            return await reports.feedbacks_page(tx, await feedback_for(tx, viewer(caller), wanted), paging)


async def _seen(tx: Reading, caller: Caller, person_id: str) -> Person:
    """Raises NotFound where the caller may not know of the person."""
    person = await stored.find(tx, person_id)
    if person is None or not await stored.sees(tx, person_id, caller.person_id, tuple(caller.roles)):
        raise NotFound("There is no such person.")
    return person


async def _oneself(tx: Reading, caller: Caller, person_id: str) -> None:
    """Raises NotFound, or Forbidden for somebody else."""
    await _seen(tx, caller, person_id)
    if caller.person_id != person_id:
        raise Forbidden("Only the person itself changes what is known of it.")


async def _address(tx: Reading, person_id: str, email: str) -> dict[str, Any]:
    """The columns of an e-mail address. Raises Invalid where somebody else has it."""
    holder = await stored.by_email(tx, email)
    if holder is not None and holder["id"] != person_id:
        raise Invalid(Violation("email", "There is an account with this address."))
    return {"email": email, "email_folded": stored.fold(email)}

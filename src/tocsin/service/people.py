"""People, as far as the caller may know of them."""

from typing import Any, Final

from tocsin.domain.errors import Forbidden, Invalid, NotFound, Violation
from tocsin.domain.page import Page, Paging
from tocsin.domain.resources import Person
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.storage import people as stored
from tocsin.storage.collections import given
from tocsin.storage.interface import Writing
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
            person = await stored.find(tx, person_id)
            own = tuple(caller.roles)
            if person is None or not await stored.sees(tx, person_id, caller.person_id, own):
                raise NotFound("There is no such person.")
            return person

    async def page(self, caller: Caller, wanted: dict[str, str | None], paging: Paging) -> Page[Person]:
        async with self._context.storage.read() as tx:
            return await stored.visible_page(tx, caller.person_id, tuple(caller.roles), wanted, paging)

    async def change(self, caller: Caller, person_id: str, members: dict[str, Any]) -> Person:
        """Only oneself."""
        await self.get(caller, person_id)
        if caller.person_id != person_id:
            raise Forbidden("Only the person itself changes what is known of it.")

        async def change(tx: Writing) -> Person:
            if not await stored.lock_present(tx, person_id, to_change=True):
                raise NotFound("There is no such person.")
            values = {**given(members, COLUMNS), "updated_at": self._context.clock.now()}
            email = members.get("email")
            if email is not None:
                holder = await stored.by_email(tx, email)
                if holder is not None and holder["id"] != person_id:
                    raise Invalid(Violation("email", "There is an account with this address."))
                values |= {"email": email, "email_folded": stored.fold(email)}
            await tx.update(table, person_id, values)
            person = await stored.find(tx, person_id)
            assert person is not None
            return person

        return await self._context.storage.write(change)

"""Images of feedback, operations, organizations and people: who may add, remove and see them.

An image is seen by whoever sees what it is of. It never changes: another one has another id.
"""

from dataclasses import dataclass, replace
from typing import Final

from tocsin.domain.activities import LogAction
from tocsin.domain.errors import Conflict, Forbidden, Invalid, NotFound, Violation
from tocsin.domain.pictures import Picture
from tocsin.domain.resources import Feedback, Operation
from tocsin.domain.roles import Permission
from tocsin.service import feedbacks, operations
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.service.feedbacks import Feedbacks
from tocsin.service.operations import Operations
from tocsin.service.organizations import Organizations
from tocsin.service.people import People
from tocsin.storage import images as stored
from tocsin.storage import partners, reports
from tocsin.storage.interface import Reading, Writing

IMAGES_MAX: Final = 20
"""Of one feedback or operation: each is named in every representation of it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An image that the caller may see; `public`: so may everybody."""

    image_id: str
    public: bool = False


class Images:
    def __init__(
        self, context: Context, of_feedback: Feedbacks, of_operations: Operations, of: Organizations, people: People
    ) -> None:
        self._context = context
        self._feedbacks = of_feedback
        self._operations = of_operations
        self._organizations = of
        self._people = people

    # Adding and removing

    async def illustrate_feedback(self, caller: Caller, feedback_id: str, uri: str) -> Feedback:
        """By its reporter, and by the admins of those who received it."""
        context = self._context
        async with context.storage.read() as tx:
            await _illustrated(tx, caller, feedback_id)
        picture = await self._read(uri)

        async def change(tx: Writing) -> Feedback:
            await reports.lock_feedback(tx, feedback_id)
            feedback = await _illustrated(tx, caller, feedback_id)
            image_id = await self._insert(tx, caller, "Feedback", feedback, picture)
            changed = replace(feedback, images=(*feedback.images, image_id))
            await reports.save_feedback_images(tx, changed)
            return changed

        return await context.storage.write(change)

    async def illustrate_operation(self, caller: Caller, operation_id: str, uri: str) -> Operation:
        """By admins and by its own operator. Its `updatedAt` moves with it, and no event tells of it."""
        context = self._context
        async with context.storage.read() as tx:
            await operations.worked_on(tx, caller, operation_id)
        picture = await self._read(uri)

        async def change(tx: Writing) -> Operation:
            operation, report = await operations.worked_on(tx, caller, operation_id, lock=True)
            image_id = await self._insert(tx, caller, "Operation", operation, picture)
            now = context.clock.now()
            changed = replace(operation, images=(*operation.images, image_id), updated_at=now)
            await operations.save_edited(tx, caller, LogAction.ADD_IMAGE, operation, changed, report)
            return changed

        return await context.storage.write(change)

    async def _read(self, uri: str) -> Picture:
        picture = await self._context.pictures.read("image", uri)
        if picture is None:
            raise Invalid(Violation("image", "This is empty."))
        return picture

    async def _insert(
        self, tx: Writing, caller: Caller, resource_type: str, one: Feedback | Operation, picture: Picture
    ) -> str:
        if len(one.images) >= IMAGES_MAX:
            raise Conflict(f"It has {IMAGES_MAX} images already.", "image")
        image_id, now = self._context.new_id(), self._context.clock.now()
        await stored.insert(tx, stored.NewImage(image_id, resource_type, one.id, picture, caller.actor, now))
        return image_id

    async def remove_from_operation(self, caller: Caller, operation_id: str, image_id: str) -> None:
        async def change(tx: Writing) -> None:
            operation, report = await operations.worked_on(tx, caller, operation_id, lock=True)
            _require(image_id, operation.images)
            kept = tuple(one for one in operation.images if one != image_id)
            changed = replace(operation, images=kept, updated_at=self._context.clock.now())
            await stored.remove(tx, image_id)
            await operations.save_edited(tx, caller, LogAction.REMOVE_IMAGE, operation, changed, report)

        await self._context.storage.write(change)

    # Seeing

    async def of_feedback(self, caller: Caller | None, feedback_id: str, image_id: str) -> Seen:
        feedback = await self._feedbacks.get(caller, feedback_id)
        _require(image_id, feedback.images)
        return Seen(image_id, feedback.public)

    async def of_operation(self, caller: Caller, operation_id: str, image_id: str) -> Seen:
        operation = await self._operations.get(caller, operation_id)
        _require(image_id, operation.images)
        return Seen(image_id)

    async def logo(self, organization_id: str) -> Seen:
        return _the((await self._organizations.get(organization_id)).logo_id)

    async def of_person(self, caller: Caller, person_id: str) -> Seen:
        return _the((await self._people.get(caller, person_id)).image_id)

    async def picture(self, seen: Seen, box: tuple[int, int] | None) -> Picture:
        """As it was sent; `box`: made to fit into this width and height."""
        if box is None:
            return await self._load(seen)
        async with self._context.pictures.turn():
            return await self._context.pictures.scaled(await self._load(seen), *box)

    async def _load(self, seen: Seen) -> Picture:
        async with self._context.storage.read() as tx:
            picture = await stored.find(tx, seen.image_id)
        if picture is None:  # removed since it was seen
            raise NotFound("There is no such image.")
        return picture


async def _illustrated(tx: Reading, caller: Caller, feedback_id: str) -> Feedback:
    feedback = await feedbacks.seen(tx, caller, feedback_id)
    if caller.person_id != feedback.reporter_id:
        holders = await partners.holders(tx, feedback_id)
        if not caller.may(Permission.EDIT_REPORTS, *holders):
            raise Forbidden("Only its reporter and the admins of those who received it add images to feedback.")
    return feedback


def _require(image_id: str, images: tuple[str, ...]) -> None:
    if image_id not in images:
        raise NotFound("There is no such image.")


def _the(image_id: str | None) -> Seen:
    if image_id is None:
        raise NotFound("There is no such image.")
    return Seen(image_id)

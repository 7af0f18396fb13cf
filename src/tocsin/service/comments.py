"""Comments on feedback and operations, and contributions to feedback: streams, read newest first.

A comment changes nothing of what it is about: no `updatedAt`, no event.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from tocsin.domain.activities import Activities, Activity, ActivityGroup
from tocsin.domain.errors import Forbidden
from tocsin.domain.resources import Feedback, Operation
from tocsin.service import feedbacks, operations
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.storage import activities as stored
from tocsin.storage import partners, reports
from tocsin.storage.interface import Reading, Writing

T = TypeVar("T")
Part = Callable[[Reading], Awaitable[tuple[Sequence[T], int | None]]]


class Comments:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def on_feedback(self, caller: Caller, feedback_id: str, text: str) -> Feedback:
        """By a person who sees it, and by a token of an organization that received it."""

        async def change(tx: Writing) -> Feedback:
            feedback = await feedbacks.seen(tx, caller, feedback_id)
            if caller.person_id is None and not caller.belongs(*await partners.holders(tx, feedback_id)):
                raise Forbidden("A token comments on feedback that its own organization received.")
            now = self._context.clock.now()
            await stored.insert_comment(tx, "Feedback", feedback_id, caller.actor, text, now)
            return feedback

        return await self._context.storage.write(change)

    async def on_operation(self, caller: Caller, operation_id: str, text: str) -> Operation:
        """By admins, and by its own operator."""

        async def change(tx: Writing) -> Operation:
            operation, _ = await operations.worked_on(tx, caller, operation_id, lock=True)
            now = self._context.clock.now()
            await stored.insert_comment(tx, "Operation", operation_id, caller.actor, text, now)
            return operation

        return await self._context.storage.write(change)

    async def of_feedback(
        self, caller: Caller, feedback_id: str, below: int | None, limit: int
    ) -> Activities[Activity]:
        async def part(tx: Reading) -> tuple[Sequence[Activity], int | None]:
            await feedbacks.seen(tx, caller, feedback_id)
            return await stored.comments_of(tx, feedback_id, below, limit)

        return await self._timed(part)

    async def of_operation(
        self, caller: Caller, operation_id: str, below: int | None, limit: int
    ) -> Activities[Activity]:
        async def part(tx: Reading) -> tuple[Sequence[Activity], int | None]:
            await operations.seen(tx, caller, operation_id)
            return await stored.comments_of(tx, operation_id, below, limit)

        return await self._timed(part)

    async def contribute(self, caller: Caller, feedback_id: str) -> Feedback:
        """A person who sees the feedback says so, too; once: again changes nothing."""
        person_id = caller.person_id

        async def change(tx: Writing) -> Feedback:
            await reports.lock_feedback(tx, feedback_id)
            feedback = await feedbacks.seen(tx, caller, feedback_id)
            if person_id is None:
                raise Forbidden("It is a person who contributes to feedback.")
            if not await stored.has_contributed(tx, feedback_id, person_id):
                await stored.insert_contribution(tx, feedback_id, person_id, self._context.clock.now())
            return feedback

        return await self._context.storage.write(change)

    async def contributions(
        self, caller: Caller, feedback_id: str, below: int | None, limit: int
    ) -> Activities[ActivityGroup]:
        async def part(tx: Reading) -> tuple[Sequence[ActivityGroup], int | None]:
            await feedbacks.seen(tx, caller, feedback_id)
            return await stored.contributions_to(tx, feedback_id, below, limit)

        return await self._timed(part)

    async def _timed(self, part: Part[T]) -> Activities[T]:
        begun = self._context.clock.monotonic()
        async with self._context.storage.read() as tx:
            results, following = await part(tx)
        return Activities(results, following, self._context.clock.monotonic() - begun)

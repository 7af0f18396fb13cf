"""Feedback: posted, matched to organizations, and delivered as reports, in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NoReturn

from tocsin.domain.changes import delivered_feedback
from tocsin.domain.errors import Forbidden, Invalid, NotFound, Unauthenticated, Violation
from tocsin.domain.events import Event
from tocsin.domain.guards import named, refuse_feedback_transition
from tocsin.domain.mails import Notice, NoticeKind
from tocsin.domain.matching import Match, match
from tocsin.domain.metadata import Schema, Value, checked
from tocsin.domain.page import Page, Paging
from tocsin.domain.resources import Checkpoint, Feedback, Point, Progression, Report
from tocsin.domain.roles import Permission, allows
from tocsin.domain.states import FeedbackTransition
from tocsin.domain.wanted import FeedbackWanted
from tocsin.hal.encoding import encode
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.service.events import Changes
from tocsin.storage import mails, partners, people, place_index, places
from tocsin.storage import reports as stored
from tocsin.storage.feedback_lists import Viewer, feedback_for
from tocsin.storage.interface import Reading, Writing

MATCHES_MAX: Final = 100
"""Organizations that one feedback may reach: the oldest ones."""


@dataclass(frozen=True, slots=True)
class NewFeedback:
    point: Point
    elevation: float = 0.0
    public: bool = False
    category_id: str | None = None
    business_activity_id: str | None = None
    description: str | None = None
    pro_mode: bool = False
    metadata: Mapping[str, Value] = field(default_factory=dict)


class Feedbacks:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def post(self, caller: Caller, new: NewFeedback) -> Feedback:
        """Raises Conflict where no organization takes it."""
        if caller.person_id is None:
            raise Forbidden("Feedback is posted by a person.")
        reporter_id = caller.person_id
        agent_of = _agent_of(caller) if new.pro_mode else None

        async def deliver(tx: Writing) -> Feedback:
            if not await people.lock_present(tx, reporter_id):
                raise Unauthenticated("The token's person is no more.")
            metadata = checked(await _schema(tx, new), new.metadata)
            matched = await _match(tx, new, agent_of)
            now = self._context.clock.now()
            state, checkpoints = delivered_feedback(matched.organization_ids[0], now)
            feedback = Feedback(
                id=self._context.new_id(),
                reporter_id=reporter_id,
                state=state,
                public=new.public,
                point=new.point,
                elevation=new.elevation,
                created_at=now,
                checkpoints=checkpoints,
                progression=Progression(0, 0),
                description=new.description,
                category_id=new.category_id,
                business_activity_id=new.business_activity_id,
                pro_mode=new.pro_mode,
                metadata=metadata,
            )
            await stored.insert_feedback(tx, feedback)
            await self._report(tx, feedback, matched, now)
            return feedback

        return await self._context.storage.write(deliver)

    async def _report(self, tx: Writing, feedback: Feedback, matched: Match, now: int) -> None:
        """One report for each organization, and its event."""
        changes = Changes(self._context)
        for organization_id in sorted(matched.organization_ids):
            report = Report(
                id=self._context.new_id(),
                feedback_id=feedback.id,
                organization_id=organization_id,
                state=matched.state,
                created_at=now,
                updated_at=now,
                checkpoints=(Checkpoint(matched.state, now, organization_id),),
                progression=Progression(0, 0),
                description=feedback.description,
                category_id=feedback.category_id,
            )
            await stored.insert_report(tx, report, feedback)
            notice = Notice(NoticeKind.REPORT_CREATED, organization_id, None, report.id, feedback.reporter_id)
            await mails.tell(tx, notice, now)
            representation = encode(self._context.hal.report(report))
            changes.add(Event.REPORT_CREATED, report.id, representation, [organization_id])
        await changes.append(tx)

    async def get(self, caller: Caller | None, feedback_id: str) -> Feedback:
        """Everybody sees a public one; else its reporter and the organizations that hold a report of it."""
        async with self._context.storage.read() as tx:
            return await seen(tx, caller, feedback_id)

    async def transition(self, caller: Caller, feedback_id: str, name: str) -> NoReturn:
        """Raises Invalid for an unknown transition, Conflict for a known one: the service takes them all by itself."""
        transition = named(FeedbackTransition, name)
        refuse_feedback_transition(await self.get(caller, feedback_id), transition)

    async def page(self, caller: Caller | None, wanted: FeedbackWanted, paging: Paging) -> Page[Feedback]:
        """What the caller may see of it."""
        async with self._context.storage.read() as tx:
            return await stored.feedbacks_page(tx, await feedback_for(tx, viewer(caller), wanted), paging)


async def seen(tx: Reading, caller: Caller | None, feedback_id: str) -> Feedback:
    """Raises NotFound where the caller may not know of it."""
    feedback = await stored.find_feedback(tx, feedback_id)
    if feedback is None or not await _visible(tx, caller, feedback):
        raise NotFound("There is no such feedback.")
    return feedback


def _agent_of(caller: Caller) -> str:
    """The one organization of which the caller is an agent."""
    for organization_id, roles in caller.roles.items():
        if allows(roles, Permission.POST_IN_PRO_MODE):
            return organization_id
    raise Forbidden("Only agents post in pro mode.")


async def _schema(tx: Reading, new: NewFeedback) -> Schema:
    """What the feedback's metadata must meet: nothing, where it names no business activity."""
    if new.business_activity_id is None:
        return {}
    activity = await places.find_activity(tx, new.business_activity_id)
    if activity is None:
        raise Invalid(Violation("businessActivity", "There is no such business activity."))
    return activity.metadata_schema


async def _match(tx: Reading, new: NewFeedback, agent_of: str | None) -> Match:
    category = None if new.category_id is None else await places.find_category(tx, new.category_id)
    if new.category_id is not None and category is None:
        raise Invalid(Violation("category", "There is no such category."))
    matched = match(
        await place_index.takers(tx, new.point),
        category_organization_id=None if category is None else category.organization_id,
        business_activity_id=new.business_activity_id,
        agent_of=agent_of,
    )
    return replace(matched, organization_ids=matched.organization_ids[:MATCHES_MAX])


async def _visible(tx: Reading, caller: Caller | None, feedback: Feedback) -> bool:
    if feedback.public:
        return True
    if caller is None:
        return False
    return caller.person_id == feedback.reporter_id or caller.belongs(*await partners.holders(tx, feedback.id))


def viewer(caller: Caller | None) -> Viewer:
    """Who looks at a list of feedback."""
    return Viewer() if caller is None else Viewer(caller.person_id, tuple(caller.roles))

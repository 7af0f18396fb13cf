"""Lists of feedback as branches: what everybody sees, and what the caller's organizations hold or the caller reported.

What an organization holds is read from its reports: each has what feedback is listed by, and was created in the same
moment. Feedback of which there is a report is DELIVERED, for good.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import ColumnElement, FromClause, exists, false, or_, select, true

from tocsin.domain.areas import Area
from tocsin.domain.states import FeedbackState
from tocsin.domain.wanted import FeedbackWanted
from tocsin.storage.collections import Branch
from tocsin.storage.interface import Reading
from tocsin.storage.lists import reports_in
from tocsin.storage.partners import feedback_delegated_to
from tocsin.storage.schema import feedbacks, reports
from tocsin.storage.spans import in_spans, spans_of, walk

Condition = ColumnElement[bool]

PUBLIC: Final[Condition] = feedbacks.c.public == true()
POINTS: Final = select(feedbacks.c.cell, feedbacks.c.latitude, feedbacks.c.longitude)

WALKED_MAX: Final = 8
"""Organizations of a caller whose feedback is read each by its own index; that of more is looked for in all."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """None and no organizations: nobody in particular."""

    person_id: str | None = None
    organization_ids: Sequence[str] = ()


async def feedback_for(tx: Reading, viewer: Viewer, wanted: FeedbackWanted) -> list[Branch]:
    """What the viewer sees of the feedback that is asked for."""
    parts = _Parts(wanted)
    branches: list[Branch] = []
    if wanted.public:
        branches += parts.held(wanted.organization_id, public=True) if wanted.organization_id else [parts.public()]
    if wanted.private:
        branches += parts.private(viewer)
    return [await _narrowed(tx, branch, wanted.area) for branch in branches]


class _Parts:
    """Branches that are wanted, but for the area."""

    def __init__(self, wanted: FeedbackWanted) -> None:
        self._wanted = wanted
        self._delivered = not wanted.states or FeedbackState.DELIVERED in wanted.states

    def public(self) -> Branch:
        return self._of_feedback(PUBLIC)

    def held(self, organization_id: str, *, public: bool) -> list[Branch]:
        """By owning a report of it, or by delegation."""
        delegated = [feedback_delegated_to([organization_id]), ~_owned([organization_id])]
        return [
            *self._owned(organization_id, (), public=public),
            self._of_feedback(feedbacks.c.public == public, *delegated),
        ]

    def private(self, viewer: Viewer) -> list[Branch]:
        own, of = sorted(viewer.organization_ids), self._wanted.organization_id
        if of in own:
            return self.held(of, public=False)
        if of is not None or len(own) > WALKED_MAX:
            held_by_it = [] if of is None else [_held([of])]
            return [self._of_feedback(feedbacks.c.public == false(), or_(_held(own), _reported(viewer)), *held_by_it)]
        walked = [branch for n, one in enumerate(own) for branch in self._owned(one, own[:n], public=False)]
        delegated = self._of_feedback(feedbacks.c.public == false(), feedback_delegated_to(own), ~_owned(own))
        reported = self._of_feedback(feedbacks.c.public == false(), _reported(viewer), ~_held(own))
        return [*walked, delegated, reported] if own else [reported]

    def _owned(self, organization_id: str, before: Sequence[str], *, public: bool) -> list[Branch]:
        """Of which the organization has a report and none of those before has."""
        if not self._delivered:
            return []
        conditions = [reports.c.organization_id == organization_id, reports.c.public == public]
        source: FromClause = reports
        if before:
            conditions.append(~_owned(before, reports.c.feedback_id))
        if self._wanted.category_id is not None:
            source = reports.join(feedbacks, feedbacks.c.id == reports.c.feedback_id)
            conditions.append(feedbacks.c.category_id == self._wanted.category_id)
        if self._wanted.reporter_id is not None:
            conditions.append(reports.c.reporter_id == self._wanted.reporter_id)
        return [Branch(reports.c.feedback_id, reports.c.created_at, conditions, source)]

    def _of_feedback(self, *conditions: Condition) -> Branch:
        found = list(conditions)
        if self._wanted.states:
            found.append(feedbacks.c.state.in_(self._wanted.states))
        if self._wanted.category_id is not None:
            found.append(feedbacks.c.category_id == self._wanted.category_id)
        if self._wanted.reporter_id is not None:
            found.append(feedbacks.c.reporter_id == self._wanted.reporter_id)
        return Branch(feedbacks.c.id, feedbacks.c.created_at, found, feedbacks)


def _owned(organization_ids: Sequence[str], feedback_id: ColumnElement[str] = feedbacks.c.id) -> Condition:
    """One of them has a report of it."""
    other = reports.alias("other")
    return exists().where(other.c.feedback_id == feedback_id, other.c.organization_id.in_(organization_ids))


def _held(organization_ids: Sequence[str]) -> Condition:
    return or_(_owned(organization_ids), feedback_delegated_to(organization_ids)) if organization_ids else false()


def _reported(viewer: Viewer) -> Condition:
    return false() if viewer.person_id is None else feedbacks.c.reporter_id == viewer.person_id


async def _narrowed(tx: Reading, branch: Branch, area: Area | None) -> Branch:
    """To an area. The first condition of a branch of reports says whose they are."""
    if area is None:
        return branch
    if branch.id is reports.c.feedback_id:
        rows = await reports_in(tx, branch.conditions[0], area)
        joined = rows if branch.source is reports else rows.join(feedbacks, feedbacks.c.id == reports.c.feedback_id)
        return replace(branch, source=joined)
    if branch.conditions[0] is PUBLIC:
        spans = await spans_of(tx, area, lambda border: POINTS.select_from(walk(feedbacks, PUBLIC, border)))
        return replace(branch, source=walk(feedbacks, PUBLIC, spans))
    some = POINTS.where(*branch.conditions)
    spans = await spans_of(tx, area, lambda border: some.where(in_spans(feedbacks.c.cell, border)))
    return replace(branch, conditions=[*branch.conditions, in_spans(feedbacks.c.cell, spans)])

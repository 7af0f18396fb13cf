"""Who gets a report out of a feedback (CONTRACT, section 6, "Matching"). Pure: the candidates are an argument."""

from collections.abc import Sequence
from dataclasses import dataclass

from tocsin.domain.errors import Conflict
from tocsin.domain.states import ReportState


@dataclass(frozen=True, slots=True)
class Candidate:
    """An enabled organization with a place that contains the feedback's point."""

    organization_id: str
    business_activity_id: str | None


@dataclass(frozen=True, slots=True)
class Match:
    """The organizations that get a report, and the state in which it begins."""

    organization_ids: tuple[str, ...]
    state: ReportState


def match(
    candidates: Sequence[Candidate],
    *,
    category_organization_id: str | None = None,
    business_activity_id: str | None = None,
    agent_of: str | None = None,
) -> Match:
    """Narrow the candidates. Raises Conflict where none is left.

    `category_organization_id`: the organization of the category given, if one was; `agent_of`: in pro mode, the
    organization of which the reporter is an agent: its report begins ACCEPTED.
    """
    if agent_of is not None:
        return _pro(candidates, agent_of)
    matched = tuple(
        one.organization_id
        for one in candidates
        if category_organization_id in (None, one.organization_id)
        and business_activity_id in (None, one.business_activity_id)
    )
    if not matched:
        raise Conflict("No organization takes feedback for this place, category and business activity.", "geo.point")
    return Match(matched, ReportState.NEW)


def _pro(candidates: Sequence[Candidate], agent_of: str) -> Match:
    if all(one.organization_id != agent_of for one in candidates):
        raise Conflict("In pro mode the place must be one of your own organization's.", "geo.point")
    return Match((agent_of,), ReportState.ACCEPTED)

"""What somebody wants of a list (CONTRACT, section 5): None and empty are not asked for.

`search`: parts of texts, by column, in any case. Moments are microseconds, inclusive.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tocsin.domain.areas import Area
from tocsin.domain.cells import Span
from tocsin.domain.resources import Point

Search = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class ReportsWanted:
    """`place_id`: of feedback that lies in the place."""

    states: Sequence[str] = ()
    category_id: str | None = None
    place_id: str | None = None
    updated_after: int | None = None
    search: Search = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OperationsWanted:
    states: Sequence[str] = ()
    updated_after: int | None = None
    search: Search = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FeedbackWanted:
    """`public`, `private`: whether such feedback is wanted. `organization_id`: that holds a report of it."""

    states: Sequence[str] = ()
    public: bool = True
    private: bool = False
    category_id: str | None = None
    organization_id: str | None = None
    reporter_id: str | None = None
    area: Area | None = None


@dataclass(frozen=True, slots=True)
class OrganizationsWanted:
    """Organizations by id, by business activity, and by points each of which lies in a place of theirs."""

    organization_id: str | None = None
    business_activity_id: str | None = None
    points: Sequence[Point] = ()

    def of(self, organization_id: str) -> "OrganizationsWanted":
        return replace(self, organization_id=organization_id)


@dataclass(frozen=True, slots=True)
class PlacesWanted:
    """`points`: the place contains each. `hashes`: it touches the square of one. `elevation`: in metres, exactly."""

    points: Sequence[Point] = ()
    hashes: Sequence[Span] = ()
    parents: Sequence[str] = ()
    elevation: float | None = None
    organization_id: str | None = None
    business_activity_id: str | None = None
    search: Search = field(default_factory=dict)

    def of(self, organization_id: str) -> "PlacesWanted":
        return replace(self, organization_id=organization_id)

"""Which place lies in which: the parent of a place is the smallest other place of its organization that covers it.

Of two that cover each other, being of one shape, the older one contains the younger. So places form a forest, whatever
the order in which they came: ranks grow from every place to its parent. The forest changes in two steps, and no others:
a place is taken out, and put in (CONTRACT, section 3, "Place"). Pure: whoever knows which places can matter hands them
in.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import shapely

from tocsin.domain import geometry

Rank = tuple[float, bytes]


def rank(size: float, place_id: str) -> Rank:
    """Grows with the area in square degrees; of equal ones, with the age: ids are UUIDv7, the younger sorts later."""
    return size, bytes(255 - byte for byte in place_id.encode())


@dataclass(frozen=True)
class Area:
    """A place as far as nesting needs it."""

    id: str
    rings: geometry.Rings
    parent_id: str | None = None

    @cached_property
    def shape(self) -> shapely.Polygon:
        made = geometry.shape(self.rings)
        shapely.prepare(made)
        return made

    @cached_property
    def rank(self) -> Rank:
        return rank(float(self.shape.area), self.id)

    def holds(self, other: "Area") -> bool:
        """Whether it covers another place and is not the lesser of the two."""
        return self.rank > other.rank and bool(self.shape.covers(other.shape))


def parent_of(one: Area, others: Iterable[Area]) -> str | None:
    """The smallest of the others that holds the place."""
    found = min((other for other in others if other.holds(one)), key=lambda other: other.rank, default=None)
    return None if found is None else found.id


def taken_out(children: Sequence[Area], others: Sequence[Area]) -> dict[str, str | None]:
    """The parents that a place's children have without it; `others`: at least all that may hold one of them."""
    return {child.id: parent_of(child, others) for child in children}


def put_in(
    one: Area, around: Sequence[Area], inside: Sequence[Area], ranks: Mapping[str, Rank]
) -> dict[str, str | None]:
    """The parents that change when a place comes in: its own, and of the places of which it is the smallest now.

    `around`: at least all that may hold it; `inside`: at least all that it may hold, but for those whose parent is
    smaller than it; `ranks`: of the parents of `inside`.
    """
    changed = {one.id: parent_of(one, around)}
    for other in inside:
        if (other.parent_id is None or ranks[other.parent_id] > one.rank) and one.holds(other):
            changed[other.id] = one.id
    return changed

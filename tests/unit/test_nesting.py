"""Places nested one by one are nested as if all had been there at once."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tocsin.domain.nesting import Area, Rank, parent_of, put_in, taken_out

Box = tuple[int, int, int, int]


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    """Small whole numbers, so that boxes often hold, cross, touch and equal one another."""
    west, south = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    return west, south, west + draw(st.integers(1, 7)), south + draw(st.integers(1, 7))


def area(number: int, box: Box, parent_id: str | None = None) -> Area:
    west, south, east, north = box
    ring = ((west, south), (east, south), (east, north), (west, north), (west, south))
    return Area(f"{number:04d}", (ring,), parent_id)


def expected(places: dict[str, Area]) -> dict[str, str | None]:
    """By the definition: the smallest other that covers it; of equals, the older one is the larger."""
    return {
        one.id: parent_of(one, [other for other in places.values() if other.id != one.id]) for one in places.values()
    }


class Forest:
    """Places as storage keeps them: each with its parent."""

    def __init__(self) -> None:
        self.places: dict[str, Area] = {}

    def put_in(self, one: Area) -> None:
        others = list(self.places.values())
        ranks: dict[str, Rank] = {other.id: other.rank for other in others}
        self.places[one.id] = one
        self._set(put_in(one, others, others, ranks))

    def take_out(self, place_id: str) -> None:
        del self.places[place_id]
        children = [one for one in self.places.values() if one.parent_id == place_id]
        self._set(taken_out(children, list(self.places.values())))

    def _set(self, parents: dict[str, str | None]) -> None:
        for place_id, parent_id in parents.items():
            self.places[place_id] = replace(self.places[place_id], parent_id=parent_id)

    def parents(self) -> dict[str, str | None]:
        return {one.id: one.parent_id for one in self.places.values()}


@given(st.lists(st.tuples(st.integers(0, 9), boxes()), max_size=25))
def test_created_grown_shrunk_and_moved_in_any_order_places_are_nested_by_the_definition(
    changes: list[tuple[int, Box]],
) -> None:
    """A number that is there already gets another shape."""
    forest = Forest()
    for number, box in changes:
        one = area(number, box)
        if one.id in forest.places:
            forest.take_out(one.id)
            assert forest.parents() == expected(forest.places)
        forest.put_in(one)
        assert forest.parents() == expected(forest.places)


@given(st.lists(boxes(), max_size=12))
def test_nobody_lies_in_itself_whatever_the_way_up(found: list[Box]) -> None:
    places = {one.id: one for one in (area(number, box) for number, box in enumerate(found))}
    parents = expected(places)
    for one in parents:
        seen, above = {one}, parents[one]
        while above is not None:
            assert above not in seen
            seen.add(above)
            above = parents[above]


def test_of_two_of_one_shape_the_older_holds_the_younger() -> None:
    older, younger = area(1, (0, 0, 2, 2)), area(2, (0, 0, 2, 2))
    assert older.holds(younger)
    assert not younger.holds(older)
    assert not older.holds(older)


def test_a_place_whose_parent_is_smaller_stays_there() -> None:
    inner, middle, outer = area(3, (2, 2, 3, 3), "0002"), area(2, (1, 1, 4, 4)), area(1, (0, 0, 9, 9))
    assert put_in(outer, [], [inner, middle], {"0002": middle.rank}) == {"0001": None, "0002": "0001"}

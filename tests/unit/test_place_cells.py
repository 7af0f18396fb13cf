"""Cells: every point of a place lies in one of its cells, and a whole cell holds nothing else."""

import math

import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from tocsin.domain import geometry
from tocsin.domain.errors import Invalid
from tocsin.domain.geometry import Rings
from tocsin.domain.place_cells import CELLS_MAX, LEVEL_MAX, Spot, cells_at, cover, number
from tocsin.domain.polygons import rings_of
from tocsin.domain.resources import Point

LONGITUDES = st.floats(-180, 180)
LATITUDES = st.floats(-90, 90)


def box(spot: Spot) -> tuple[float, float, float, float]:
    """West, south, east, north."""
    level, x, y = spot
    width, height = 360 / (1 << level), 180 / (1 << level)
    return -180 + x * width, -90 + y * height, -180 + (x + 1) * width, -90 + (y + 1) * height


def spot_of(cell: int) -> Spot:
    """What `number` made the cell of."""
    zeros = (cell & -cell).bit_length() - 1
    level, path = LEVEL_MAX - zeros // 2, cell >> zeros + 1
    bits = [(path >> shift) & 1 for shift in range(2 * level)]
    x = sum(bit << place for place, bit in enumerate(bits[0::2]))
    y = sum(bit << place for place, bit in enumerate(bits[1::2]))
    return level, x, y


@st.composite
def polygons(draw: st.DrawFn) -> Rings:
    """Stars of any size, anywhere, some with a hole."""
    longitude, latitude = draw(st.floats(-170, 170)), draw(st.floats(-80, 80))
    radius = 10 ** draw(st.floats(-6, 0.9))
    distances = draw(st.lists(st.floats(0.3, 1), min_size=3, max_size=12))
    outer = [
        [
            longitude + radius * one * math.cos(2 * math.pi * index / len(distances)),
            latitude + radius * one * math.sin(2 * math.pi * index / len(distances)),
        ]
        for index, one in enumerate(distances)
    ]
    hole = [[longitude + (x - longitude) / 4, latitude + (y - latitude) / 4] for x, y in outer]
    rings = [outer, hole] if draw(st.booleans()) else [outer]
    try:
        return rings_of({"type": "Polygon", "coordinates": rings})
    except Invalid:
        assume(False)
        raise


@given(LONGITUDES, LATITUDES)
def test_a_point_lies_in_one_cell_of_each_level(longitude: float, latitude: float) -> None:
    cells = cells_at(Point(latitude, longitude))
    assert len(set(cells)) == LEVEL_MAX + 1
    for level, cell in enumerate(cells):
        assert spot_of(cell)[0] == level
        assert number(spot_of(cell)) == cell
        west, south, east, north = box(spot_of(cell))
        assert west <= longitude < east or longitude == east == 180
        assert south <= latitude < north or latitude == north == 90


@pytest.mark.parametrize("offset", [0.0, 5e-324, -5e-324, 1e-16, -1e-16, 1e-14, -1e-14])
def test_next_to_a_border_a_point_is_on_its_own_side(offset: float) -> None:
    _, x, y = spot_of(cells_at(Point(offset, offset))[1])
    assert (x, y) == ((1, 1) if offset >= 0 else (0, 0))


@given(polygons(), st.lists(st.tuples(st.floats(-1.2, 1.2), st.floats(-1.2, 1.2)), min_size=1, max_size=20))
def test_cells_find_every_point_of_a_place(rings: Rings, offsets: list[tuple[float, float]]) -> None:
    cells = {one.number: one.whole for one in cover(rings)}
    assert 1 <= len(cells) <= CELLS_MAX
    west, south, east, north = geometry.bounds(rings)
    points = [Point(latitude, longitude) for longitude, latitude in rings[0]]
    for across, up in offsets:
        longitude = (west + east) / 2 + across * (east - west) / 2
        latitude = (south + north) / 2 + up * (north - south) / 2
        points.append(Point(max(-90, min(90, latitude)), max(-180, min(180, longitude))))
    for point in points:
        found = [cells[cell] for cell in cells_at(point) if cell in cells]
        assert len(found) <= 1, "cells of one place do not overlap"
        if geometry.contains(rings, point):
            assert found, "a place is found at each of its points"
        elif found:
            assert found == [False], "a whole cell holds nothing else"


@given(polygons())
def test_cells_lie_close_around_a_place(rings: Rings) -> None:
    """Less than the box around them would: or else they would be no better than boxes."""
    west, south, east, north = geometry.bounds(rings)
    together = shapely.union_all([shapely.box(*box(spot_of(one.number))) for one in cover(rings)])
    assume(min(east - west, north - south) > 1e-4)
    assert together.area < 4 * (east - west) * (north - south)


def test_the_whole_world_is_covered_and_fits_into_64_bits() -> None:
    world = rings_of({"type": "Polygon", "coordinates": [[[-180, -90], [180, -90], [180, 90], [-180, 90]]]})
    assert all(0 < one.number < 1 << 2 * LEVEL_MAX + 1 for one in cover(world))
    for point in (Point(90, 180), Point(-90, -180), Point(0, 0)):
        assert {one.number for one in cover(world) if one.whole} & set(cells_at(point))

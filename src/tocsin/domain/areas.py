"""Areas that lists are narrowed to: a disc, a polygon, geohashes, and what several of them have in common.

An area is found in a database without a notion of space: it is covered with cells (`cells.py`). Points in the cells
that lie wholly inside belong to it, unasked; points in the cells on its border are asked one by one, by the true shape.
The more cells, the fewer are asked.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final, Protocol

import shapely

from tocsin.domain import geometry
from tocsin.domain.cells import WORLD, Box, Span, common, merged, quarters, span_box
from tocsin.domain.resources import Point

EARTH_RADIUS_METRES: Final = 6_371_008.8
"""The mean radius: distances are those on a sphere, at most 0.6 % off."""
RADIUS_MAX_METRES: Final = 1_000_000
DISC_BORDER_MAX_CELLS: Final = 64
POLYGON_BORDER_MAX_CELLS: Final = 256
"""Cells on the border are quartered until there are more than so many."""
COVERS_MAX: Final = 32
"""Covers of polygons that are kept: the same places are asked for again and again."""


class Side(Enum):
    INSIDE = "inside"
    BORDER = "border"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Cover:
    """Merged spans: of what is wholly inside, and of what has to be asked."""

    inside: tuple[Span, ...]
    border: tuple[Span, ...] = ()


class Area(Protocol):
    def cover(self) -> Cover: ...

    def holds(self, points: Sequence[Point]) -> Sequence[bool]:
        """Of each point, whether it is in the area."""
        ...


@dataclass(frozen=True, slots=True)
class Hashes:
    """What lies inside any of some geohashes, given as spans."""

    spans: tuple[Span, ...]

    def cover(self) -> Cover:
        return Cover(merged(self.spans))

    def holds(self, points: Sequence[Point]) -> Sequence[bool]:
        return [True] * len(points)  # nothing of it is a border: a cell is in it or not


@dataclass(frozen=True, slots=True)
class Disc:
    """What is at most so far from a point."""

    centre: Point
    radius_metres: float

    def cover(self) -> Cover:
        return _cover(lambda boxes: [self._side(box) for box in boxes], DISC_BORDER_MAX_CELLS)

    def holds(self, points: Sequence[Point]) -> Sequence[bool]:
        return [distance(self.centre, point) <= self.radius_metres for point in points]

    def _side(self, box: Box) -> Side:
        if _nearest(self.centre, box) > self.radius_metres:
            return Side.OUTSIDE
        if box.east - box.west > 90:
            return Side.BORDER
        corners = [
            Point(latitude, longitude) for latitude in (box.south, box.north) for longitude in (box.west, box.east)
        ]
        return Side.INSIDE if all(self.holds(corners)) else Side.BORDER


@dataclass(frozen=True, slots=True)
class Polygon:
    """What lies in a polygon; its border belongs to it, as in `geometry.contains`."""

    rings: geometry.Rings

    def cover(self) -> Cover:
        return _cover_of_polygon(self.rings)

    def holds(self, points: Sequence[Point]) -> Sequence[bool]:
        shape = shapely.Polygon(self.rings[0], self.rings[1:])
        shapely.prepare(shape)
        longitudes, latitudes = [point.longitude for point in points], [point.latitude for point in points]
        return [bool(one) for one in shapely.intersects_xy(shape, longitudes, latitudes)]

    def touches(self, boxes: Sequence[Box]) -> bool:
        """Whether it has a point in common with one of them."""
        shape = shapely.Polygon(self.rings[0], self.rings[1:])
        return bool(shapely.intersects(shape, _boxes(boxes)).any())


@dataclass(frozen=True, slots=True)
class Common:
    """What lies in every one of some areas."""

    areas: tuple[Area, ...]

    def cover(self) -> Cover:
        inside: tuple[Span, ...] = (WORLD,)
        somehow: tuple[Span, ...] = (WORLD,)
        for cover in (area.cover() for area in self.areas):
            inside = common(inside, cover.inside)
            somehow = common(somehow, merged([*cover.inside, *cover.border]))
        return Cover(inside, without(somehow, inside))

    def holds(self, points: Sequence[Point]) -> Sequence[bool]:
        return [all(answers) for answers in zip(*(area.holds(points) for area in self.areas), strict=True)]


def settled(cover: Cover, asked: Iterable[tuple[int, bool]]) -> tuple[Span, ...]:
    """The area as spans alone, for a database that has no other points on its border than those asked.

    `asked`: the cell of each point on the border, and whether the point is in the area. Stretches of points that are
    become one span, so that there are few.
    """
    answers = sorted(asked)
    spans, at = list(cover.inside), 0
    for first, last in cover.border:
        begin: int | None = None
        end = first
        while at < len(answers) and answers[at][0] <= last:
            cell, held = answers[at]
            if held:
                begin, end = cell if begin is None else begin, cell
            elif begin is not None:
                spans.append((begin, end))
                begin = None
            at += 1
        if begin is not None:
            spans.append((begin, end))
    return merged(spans)


def without(one: Sequence[Span], other: Sequence[Span]) -> tuple[Span, ...]:
    """The numbers of `one` that are not in `other`; both are merged, and `other` lies within `one`."""
    found = []
    rest = list(other)[::-1]
    for first, last in one:
        begin = first
        while rest and rest[-1][0] <= last:
            taken_first, taken_last = rest.pop()
            if taken_first > begin:
                found.append((begin, taken_first - 1))
            begin = taken_last + 1
        if begin <= last:
            found.append((begin, last))
    return tuple(found)


def distance(one: Point, other: Point) -> float:
    """In metres, on a sphere (the haversine formula)."""
    here, there = math.radians(one.latitude), math.radians(other.latitude)
    across = math.radians(other.longitude - one.longitude)
    half = math.sin((there - here) / 2) ** 2 + math.cos(here) * math.cos(there) * math.sin(across / 2) ** 2
    return 2 * EARTH_RADIUS_METRES * math.asin(min(1.0, math.sqrt(half)))


@lru_cache(COVERS_MAX)
def _cover_of_polygon(rings: geometry.Rings) -> Cover:
    shape = shapely.Polygon(rings[0], rings[1:])
    shapely.prepare(shape)

    def judge(boxes: Sequence[Box]) -> list[Side]:
        made = _boxes(boxes)
        pairs = zip(shapely.contains_properly(shape, made), shapely.intersects(shape, made), strict=True)
        return [Side.INSIDE if inside else Side.BORDER if near else Side.OUTSIDE for inside, near in pairs]

    return _cover(judge, POLYGON_BORDER_MAX_CELLS)


def _boxes(boxes: Sequence[Box]) -> Any:
    """An array of shapes."""
    wests, souths, easts, norths = ([box[side] for box in boxes] for side in range(4))
    return shapely.box(wests, souths, easts, norths)


def _nearest(point: Point, box: Box) -> float:
    """How far the nearest point of a box is."""
    if box.west <= point.longitude <= box.east:
        return distance(point, Point(min(max(point.latitude, box.south), box.north), point.longitude))
    return min(_nearest_on_meridian(point, longitude, box) for longitude in (box.west, box.east))


def _nearest_on_meridian(point: Point, longitude: float, box: Box) -> float:
    """Along a meridian the distance falls towards one latitude; on the earth's far side that lies beyond a pole."""
    latitude, across = math.radians(point.latitude), math.cos(math.radians(longitude - point.longitude))
    nearest = math.degrees(math.atan2(math.sin(latitude), math.cos(latitude) * across))
    ends = (box.south, box.north) if abs(nearest) > 90 else (min(max(nearest, box.south), box.north),)
    return min(distance(point, Point(end, longitude)) for end in ends)


def _cover(judge: Callable[[Sequence[Box]], Sequence[Side]], border_max_cells: int) -> Cover:
    """Quarter the world, and what is on the border again and again."""
    inside: list[Span] = []
    border: list[Span] = [WORLD]
    while border and len(border) <= border_max_cells and border[0][0] < border[0][1]:
        parts = [part for square in border for part in quarters(square)]
        sides = judge([span_box(part) for part in parts])
        inside += [part for part, side in zip(parts, sides, strict=True) if side is Side.INSIDE]
        border = [part for part, side in zip(parts, sides, strict=True) if side is Side.BORDER]
    return Cover(merged(inside), merged(border))

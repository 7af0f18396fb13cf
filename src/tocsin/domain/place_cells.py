"""Cells of the world, by which the places around a point are found without looking at the others.

The world is one cell of level 0; each cell has four children of the next level. A place is covered by a few cells,
coarse ones where it is large; a point lies in one cell of each level. So the places that may contain a point are those
with one of LEVEL_MAX + 1 cells: a handful of probes of any index, on any engine.

A cell is a number: the path of quarters from level 0 down (two bits each), a one, and zeros for the levels that it
leaves out. Those of one level sort along the Z curve, so that what lies together is stored together. Cells are half
open: the western and southern borders belong to them; the last ones hold longitude 180 and latitude 90, too. Borders
are exact in floating point, and so is the cell of a point.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import shapely

from tocsin.domain.geometry import Rings, bounds, shape
from tocsin.domain.resources import Point

LEVEL_MAX: Final = 24
"""Of about 2.4 m by 1.2 m."""
CELLS_MAX: Final = 16
"""Cells of one place."""
FINENESS: Final = 5
"""Levels below that of the place's own size at which its border is fine enough."""

_WEST: Final = -180.0
_SOUTH: Final = -90.0
_WIDTH: Final = 360.0
_HEIGHT: Final = 180.0
_SPREAD: Final = ((16, 0x0000FFFF0000FFFF), (8, 0x00FF00FF00FF00FF), (4, 0x0F0F0F0F0F0F0F0F), (2, 0x3333333333333333))


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a place; `whole`: nothing of the cell lies outside the place, so that no shape needs to be asked."""

    number: int
    whole: bool


Spot = tuple[int, int, int]
"""Level, and the cell's place in it from the west and from the south."""


def cells_at(point: Point) -> tuple[int, ...]:
    """The cells that hold the point, one of each level from 0 to LEVEL_MAX."""
    count = 1 << LEVEL_MAX
    x = _index(point.longitude, _WEST, _WIDTH / count, count)
    y = _index(point.latitude, _SOUTH, _HEIGHT / count, count)
    path = _interleaved(x, y)
    return tuple(_numbered(path >> 2 * (LEVEL_MAX - level), level) for level in range(LEVEL_MAX + 1))


def cover(rings: Rings) -> tuple[Cell, ...]:
    """At most CELLS_MAX cells that together hold every point of the polygon, its border included."""
    polygon = shape(rings)
    shapely.prepare(polygon)
    finest = _finest(rings)
    waiting: deque[Spot] = deque([(0, 0, 0)])
    kept: list[Spot] = []
    whole: list[Spot] = []
    while waiting:
        spot = waiting.popleft()
        if spot[0] >= finest:
            kept.append(spot)
            continue
        outer, inner = _quarters(polygon, spot)
        if len(waiting) + len(kept) + len(whole) + len(outer) + len(inner) > CELLS_MAX:
            kept.append(spot)
            continue
        waiting.extend(outer)
        whole.extend(inner)
    return (*(Cell(number(spot), False) for spot in kept), *(Cell(number(spot), True) for spot in whole))


def number(spot: Spot) -> int:
    level, x, y = spot
    return _numbered(_interleaved(x, y), level)


def _finest(rings: Rings) -> int:
    west, south, east, north = bounds(rings)
    part = max((east - west) / _WIDTH, (north - south) / _HEIGHT)
    return min(LEVEL_MAX, max(0, -math.floor(math.log2(part))) + FINENESS)


def _quarters(polygon: shapely.Polygon, spot: Spot) -> tuple[list[Spot], list[Spot]]:
    """The children that the polygon's border goes through, and those that lie wholly in it."""
    level, x, y = spot[0] + 1, 2 * spot[1], 2 * spot[2]
    spots = [(level, x, y), (level, x + 1, y), (level, x, y + 1), (level, x + 1, y + 1)]
    boxes = _boxes(spots)
    meets, covers = shapely.intersects(polygon, boxes), shapely.covers(polygon, boxes)
    outer = [one for one, met, held in zip(spots, meets, covers, strict=True) if met and not held]
    return outer, [one for one, held in zip(spots, covers, strict=True) if held]


def _boxes(spots: Sequence[Spot]) -> Any:
    """The shapes of cells of one level."""
    count = 1 << spots[0][0]
    west = [_WEST + x * (_WIDTH / count) for _, x, _ in spots]
    south = [_SOUTH + y * (_HEIGHT / count) for _, _, y in spots]
    east = [_WEST + (x + 1) * (_WIDTH / count) for _, x, _ in spots]
    north = [_SOUTH + (y + 1) * (_HEIGHT / count) for _, _, y in spots]
    return shapely.box(west, south, east, north)


def _index(degrees: float, low: float, width: float, count: int) -> int:
    """The number of the strip that holds the degrees. The subtraction rounds, so that the neighbours are asked, too."""
    index = min(max(int((degrees - low) / width), 0), count - 1)
    if degrees < low + index * width:
        return index - 1
    if index + 1 < count and degrees >= low + (index + 1) * width:
        return index + 1
    return index


def _numbered(path: int, level: int) -> int:
    return (2 * path + 1) << 2 * (LEVEL_MAX - level)


def _interleaved(x: int, y: int) -> int:
    return _spread(x) | _spread(y) << 1


def _spread(bits: int) -> int:
    """Each of 32 bits followed by a zero."""
    for shift, mask in _SPREAD:
        bits = (bits | bits << shift) & mask
    return (bits | bits << 1) & 0x5555555555555555

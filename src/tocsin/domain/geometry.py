"""Shapes of places: what lies inside, and which lies in which. Planar, in degrees; borders belong to a shape.

What integrators send becomes rings in `polygons.py`.
"""

from typing import Final

from shapely import Point as ShapelyPoint
from shapely import Polygon

from tocsin.domain.resources import Point

SRID: Final = 4326

Ring = tuple[tuple[float, float], ...]
Rings = tuple[Ring, ...]
"""Each closed, of (longitude, latitude); the first is the outer one, others are holes."""


def contains(rings: Rings, point: Point) -> bool:
    """Whether the point lies in the polygon; its border belongs to it."""
    return shape(rings).covers(ShapelyPoint(point.longitude, point.latitude))


def covers(outer: Rings, inner: Rings) -> bool:
    """Whether one polygon lies wholly in another."""
    return shape(outer).covers(shape(inner))


def area(rings: Rings) -> float:
    """In square degrees: good for comparing polygons that lie in each other."""
    return float(shape(rings).area)


def bounds(rings: Rings) -> tuple[float, float, float, float]:
    """West, south, east, north."""
    longitudes = [longitude for longitude, _ in rings[0]]
    latitudes = [latitude for _, latitude in rings[0]]
    return min(longitudes), min(latitudes), max(longitudes), max(latitudes)


def shape(rings: Rings) -> Polygon:
    return Polygon(rings[0], rings[1:])

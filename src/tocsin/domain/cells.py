"""The earth as cells on a line: each point has a whole number of 60 bits, and near points mostly have near numbers.

The number is the point's geohash of twelve characters (bits of longitude and latitude in turns, longitude first), read
as an integer. So a geohash is a span of numbers, and any area is a list of spans: what a database finds by an index of
one column. A cell of 60 bits is at most 4 cm wide and 2 cm high.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from tocsin.domain.resources import Point

BITS: Final = 30
"""Of each coordinate."""
HASH_MAX_CHARACTERS: Final = 12
_SIZE: Final = 1 << BITS
_ALPHABET: Final = "0123456789bcdefghjkmnpqrstuvwxyz"
_DIGITS: Final = {character: digit for digit, character in enumerate(_ALPHABET)}
_CHARACTER_BITS: Final = 5

Span = tuple[int, int]
"""The first and the last number of a stretch of the line."""

EARTH: Final[Span] = 0, (1 << 2 * BITS) - 1


class Box(NamedTuple):
    """In degrees; its borders belong to it."""

    west: float
    south: float
    east: float
    north: float


def cell_of(point: Point) -> int:
    """The number of the cell that holds a point."""
    return _spread(_step(point.longitude, 180)) << 1 | _spread(_step(point.latitude, 90))


def _step(degrees: float, most: int) -> int:
    return min(int((degrees + most) / (2 * most) * _SIZE), _SIZE - 1)


def _spread(bits: int) -> int:
    """The 30 bits with a zero before each."""
    bits = (bits | bits << 16) & 0x0000_FFFF_0000_FFFF
    bits = (bits | bits << 8) & 0x00FF_00FF_00FF_00FF
    bits = (bits | bits << 4) & 0x0F0F_0F0F_0F0F_0F0F
    bits = (bits | bits << 2) & 0x3333_3333_3333_3333
    return (bits | bits << 1) & 0x5555_5555_5555_5555


def _gather(bits: int) -> int:
    """Every other bit: undoes `_spread`."""
    bits &= 0x5555_5555_5555_5555
    bits = (bits | bits >> 1) & 0x3333_3333_3333_3333
    bits = (bits | bits >> 2) & 0x0F0F_0F0F_0F0F_0F0F
    bits = (bits | bits >> 4) & 0x00FF_00FF_00FF_00FF
    bits = (bits | bits >> 8) & 0x0000_FFFF_0000_FFFF
    return (bits | bits >> 16) & 0x0000_0000_FFFF_FFFF


def hash_span(text: str) -> Span:
    """Of a geohash of 1 to 12 characters, of either case. Raises ValueError."""
    if not 1 <= len(text) <= HASH_MAX_CHARACTERS or not set(text.lower()) <= set(_DIGITS):
        raise ValueError(f"a geohash has 1 to {HASH_MAX_CHARACTERS} of the characters {_ALPHABET}")
    number = 0
    for character in text.lower():
        number = number << _CHARACTER_BITS | _DIGITS[character]
    rest = _CHARACTER_BITS * (HASH_MAX_CHARACTERS - len(text))
    return number << rest, (number + 1 << rest) - 1


def span_box(span: Span) -> Box:
    """Of a span that is a geohash or a square: one whose ends have the bits of one corner and of the opposite one."""
    first, last = span
    west, east = _gather(first >> 1), _gather(last >> 1) + 1
    south, north = _gather(first), _gather(last) + 1
    return Box(_degrees(west, 180), _degrees(south, 90), _degrees(east, 180), _degrees(north, 90))


def _degrees(step: int, most: int) -> float:
    return step / _SIZE * 2 * most - most


def quarters(span: Span) -> tuple[Span, Span, Span, Span]:
    """Of a square of more than one cell: the four squares of half its side, in their order on the line."""
    first, last = span
    size = (last - first + 1) >> 2
    assert size, "a single cell has no quarters"
    a, b, c, d = (first + size * number for number in range(4))
    return (a, b - 1), (b, c - 1), (c, d - 1), (d, last)


WORLD: Final[Span] = (0, (1 << 2 * BITS) - 1)


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same numbers in as few spans as can be, in order."""
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


def common(one: Iterable[Span], other: Iterable[Span]) -> tuple[Span, ...]:
    """The numbers that are in both. Each is merged, as `merged` returns it."""
    found, rest = [], list(other)[::-1]
    for first, last in one:
        while rest and rest[-1][0] <= last:
            begin, end = rest[-1]
            if end >= first:
                found.append((max(first, begin), min(last, end)))
            if end > last:
                break
            rest.pop()
    return tuple(found)

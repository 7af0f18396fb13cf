"""Representations to bytes, and moments to text: minified JSON in UTF-8, RFC 3339 in UTC without a fraction."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import orjson

SECOND: Final = 1_000_000
"""Microseconds."""


def encode(representation: Any) -> bytes:
    """The bytes of a representation; the same for equal ones."""
    return orjson.dumps(representation)


@lru_cache(maxsize=65_536)
def _text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def moment(at: int) -> str:
    """Microseconds since the epoch as `2018-02-27T10:00:00+00:00`."""
    return _text(at // SECOND)

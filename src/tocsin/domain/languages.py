"""The languages that people are spoken to in, and how a client says which one it prefers (CONTRACT, section 1;
RFC 9110, section 12.5.4)."""

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final

HEADER_MAX_CHARACTERS: Final = 1_000


class Language(StrEnum):
    FRENCH = "fr-FR"
    ENGLISH = "en-US"


DEFAULT: Final = Language.FRENCH
_BY_SUBTAG: Final = {"fr": Language.FRENCH, "en": Language.ENGLISH, "*": DEFAULT}
_RANGE: Final = re.compile(
    r"\s*([A-Za-z*]{1,8})(?:-[A-Za-z0-9*-]{1,40})?\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?", re.ASCII
)


def preferred(header: str | None) -> Language | None:
    """The best of ours that an Accept-Language takes; None where it takes none or says nothing."""
    return _preferred((header or "")[:HEADER_MAX_CHARACTERS])


@lru_cache(maxsize=1024)
def _preferred(header: str) -> Language | None:
    best, quality = None, 0.0
    for part in header.split(","):
        match = _RANGE.fullmatch(part)
        language = None if match is None else _BY_SUBTAG.get(match[1].lower())
        if match is not None and language is not None and float(match[2] or 1) > quality:
            best, quality = language, float(match[2] or 1)
    return best

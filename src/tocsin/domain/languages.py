"""The languages that people are spoken to in, and how a client says which one it prefers (RFC 9110, section 12.5.4)."""

from enum import StrEnum
from typing import Final

HEADER_MAX_CHARACTERS: Final = 1024


class Language(StrEnum):
    FRENCH = "fr"
    ENGLISH = "en"


DEFAULT: Final = Language.FRENCH


def preferred(header: str | None) -> Language | None:
    """The language of ours that an Accept-Language puts first; None where it names none of them."""
    best: tuple[float, Language] | None = None
    for part in (header or "")[:HEADER_MAX_CHARACTERS].split(","):
        tag, _, parameters = part.partition(";")
        found = _language(tag)
        weight = _weight(parameters)
        if found is not None and weight > 0 and (best is None or weight > best[0]):
            best = (weight, found)
    return None if best is None else best[1]


def _language(tag: str) -> Language | None:
    """`en-GB` is English."""
    primary = tag.strip().lower().partition("-")[0]
    return Language(primary) if primary in set(Language) else None


def _weight(parameters: str) -> float:
    """Of `q=0.8`; 1 where there is none, 0 where it can't be read."""
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    text = value.strip()
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0

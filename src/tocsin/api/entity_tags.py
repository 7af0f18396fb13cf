"""Entity tags: what If-Match and If-None-Match name (RFC 9110, sections 8.8.3 and 13.1)."""

import re
from typing import Final

TAGS_MAX: Final = 100
"""Entity tags in one header."""

_TAG: Final = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,[ \t,]*|$)')


def tags(header: str) -> list[tuple[bool, str]]:
    """The entity tags of a header, each with whether it is weak. Raises ValueError for what is no list of them."""
    found: list[tuple[bool, str]] = []
    place = len(header) - len(header.lstrip(" \t,"))
    while place < len(header):
        match = _TAG.match(header, place)
        if match is None or len(found) >= TAGS_MAX:
            raise ValueError("an entity tag is written in quotes")
        found.append((match[1] is not None, match[2]))
        place = match.end()
    if not found:
        raise ValueError("there is no entity tag")
    return found


def matches_strongly(header: str, tag: str) -> bool:
    """For If-Match: a weak tag matches nothing. Raises ValueError."""
    return header.strip() == "*" or any(one == tag and not weak for weak, one in tags(header))


def matches_weakly(header: str, tag: str) -> bool:
    """For If-None-Match. What is no list of entity tags matches nothing."""
    if header.strip() == "*":
        return True
    try:
        return any(one == tag for _, one in tags(header))
    except ValueError:
        return False

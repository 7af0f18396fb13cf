"""What there is: the names that answers told, so that calls are about something instead of about nothing.

An answer's `_links` say which variables belong together; what was deleted is forgotten.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

KEPT_MAX: Final = 400
NEWEST: Final = 12
"""Half of the time one of these is taken, so that what was made is gone on with."""
FREE: Final = {"width", "height"}
RENAMED: Final = {"businessActivity": "business_activity"}

Names = dict[str, str]


def variables(path: str) -> frozenset[str]:
    """Of a path's template, those that name something."""
    return frozenset(re.findall(r"\{(\w+)\}", path)) - FREE


class Known:
    """Names that belong together, by their variables; those that `kept` mentions are never taken away."""

    def __init__(self, chance: random.Random, kept: Iterable[str]) -> None:
        self._chance = chance
        self._kept = frozenset(kept)
        self._found: defaultdict[frozenset[str], dict[tuple[tuple[str, str], ...], None]] = defaultdict(dict)

    def learn(self, names: Mapping[str, str]) -> None:
        found = self._found[frozenset(names)]
        found.setdefault(tuple(sorted(names.items())))
        if len(found) > KEPT_MAX:
            del found[next(iter(found))]

    def forget(self, names: Mapping[str, str]) -> None:
        """What is under it, too."""
        gone = set(names.items())
        for found in self._found.values():
            for one in [one for one in found if gone <= set(one)]:
                del found[one]

    def spares(self, names: Mapping[str, str]) -> bool:
        """Whether it may be taken away."""
        return not self._kept & set(names.values())

    def pick(self, wanted: frozenset[str], *, to_lose: bool) -> Names | None:
        """Names for the variables; None: nothing has them. `to_lose`: only what may be taken away."""
        found = [dict(one) for one in self._found[wanted]]
        found = [one for one in found if self.spares(one)] if to_lose else found
        if not found:
            return None
        return self._chance.choice(found[-NEWEST:] if self._chance.random() < 0.5 else found)

    def one(self, variable: str) -> str | None:
        """The name of something of that kind."""
        found = self.pick(frozenset({variable}), to_lose=False)
        return None if found is None else found[variable]

    def read(self, answer: Any, path: str, named: Mapping[str, str]) -> None:
        """Learn from an answer to a call of `path`, which named what it was about."""
        for names in _mentioned(answer):
            self.learn(names)
        if path.endswith("/relationships"):
            for item in answer.get("_embedded", {}).get("items", [answer]):
                self.learn({"organization": named["organization"], "relationship": item["id"]})
        if path.endswith("/events"):
            for item in answer["_embedded"]["items"]:
                self.learn({"event": item["id"]})


def _mentioned(value: Any) -> Iterator[Names]:
    if isinstance(value, list):
        for one in value:
            yield from _mentioned(one)
    if isinstance(value, dict):
        mapping = value.get("iriTemplate", {}).get("mapping") if isinstance(value.get("iriTemplate"), dict) else None
        if mapping:
            yield {RENAMED.get(name, name): str(one) for name, one in mapping.items()}
            for name, one in mapping.items():
                if name in {"member", "image"}:
                    yield {name: str(one)}
        else:
            for one in value.values():
                yield from _mentioned(one)

"""What people said and did about a thing, and what became of an operation (CONTRACT, section 3, "Comment = activity").

Activities name things as activity streams do: `person:<id>`, `feedback:<id>`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar
from uuid import UUID, uuid5

from tocsin.domain.resources import Operation

T = TypeVar("T")


class Verb(StrEnum):
    COMMENT = "comment"
    CONTRIBUTE = "contribute"


@dataclass(frozen=True, slots=True)
class Activity:
    actor: str
    verb: Verb
    object: str
    message: str
    at: int


@dataclass(frozen=True, slots=True)
class ActivityGroup:
    """What was done to one thing with one verb on one day (UTC); `activities` are the newest of them."""

    object: str
    verb: Verb
    day: str
    activities: tuple[Activity, ...]
    activity_count: int
    actor_count: int
    created_at: int
    updated_at: int

    @property
    def group(self) -> str:
        return f"{self.verb}_{self.day}"

    @property
    def id(self) -> str:
        """The same for the same group of the same thing."""
        return str(uuid5(UUID(self.object.partition(":")[2]), self.group))


@dataclass(frozen=True, slots=True)
class Activities(Generic[T]):
    """A part of a stream, newest first; `next`: the cursor of the part that follows, None at the end."""

    results: Sequence[T]
    next: int | None
    duration_seconds: float
    """What reading it took."""


class LogAction(StrEnum):
    """What may be done to an operation; a transition is called by its own name."""

    CREATE = "create"
    UPDATE = "update"
    ASSIGN = "assign"
    ACCEPT = "accept"
    REFUSE = "refuse"
    PROGRESS = "progress"
    RESOLVE = "resolve"
    RESET = "reset"
    ADD_IMAGE = "addImage"
    REMOVE_IMAGE = "removeImage"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One change of an operation; `version` counts them from 1; `data`: what its members became."""

    operation_id: str
    version: int
    action: LogAction
    actor: str
    at: int
    data: Mapping[str, Any]


LOGGED: Final = {
    "state": "state",
    "operator_id": "operator",
    "name": "name",
    "description": "description",
    "identification_number": "identificationNumber",
    "duration": "duration",
    "start_date": "startDate",
    "images": "images",
}
"""The members of an operation that can change, and what they are called outside."""


def changed(before: Operation | None, after: Operation) -> dict[str, Any]:
    """The members that became something else, by their outside names; of a new operation, those that are something."""
    olds = {name: () if name == "images" else None for name in LOGGED} if before is None else _members(before)
    return {LOGGED[name]: value for name, value in _members(after).items() if value != olds[name]}


def _members(operation: Operation) -> dict[str, Any]:
    return {name: getattr(operation, name) for name in LOGGED}

"""What people are told of by mail, and how long a mail is tried."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

SECOND: Final = 1_000_000
GIVE_UP_SECONDS: Final = 3 * 86_400
"""After its creation a mail is not tried any more."""
LINK_SECONDS: Final = 3_600
"""How long a link works that was mailed to somebody who forgot a password: such a mail is of no use later."""
FIRST_PAUSE_SECONDS: Final = 30
PAUSE_MAX_SECONDS: Final = 4 * 3_600


class NoticeKind(StrEnum):
    REPORT_CREATED = "reportCreated"
    REPORT_DELEGATED = "reportDelegated"
    OPERATION_ASSIGNED = "operationAssigned"
    WEBHOOK_DISABLED = "webhookDisabled"
    PASSWORD_REQUESTED = "passwordRequested"  # a name, not a credential
    PASSWORD_CHANGED = "passwordChanged"  # a name, not a credential


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that somebody is to be told of; who that is, and in what words, is found out when it is told."""

    kind: NoticeKind
    organization_id: str | None = None
    """Whose admins are told, or that is named."""
    person_id: str | None = None
    """Who is told."""
    subject_id: str | None = None
    """The report, operation or webhook."""
    actor_id: str | None = None
    """The person who did it, who needs no mail about that."""
    address: str | None = None
    """Of a forgotten password: what was typed, whether or not it is known."""
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Again:
    """`at`: microseconds."""

    at: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    pass


Next = Again | GiveUp


def after_failure(kind: NoticeKind, failures: int, created_at: int, now: int, *, permanent: bool) -> Next:
    """What becomes of a mail that was refused for the `failures`th time; moments in microseconds."""
    pause = min(FIRST_PAUSE_SECONDS * 4 ** min(failures - 1, 10), PAUSE_MAX_SECONDS) * SECOND
    lifetime = LINK_SECONDS if kind is NoticeKind.PASSWORD_REQUESTED else GIVE_UP_SECONDS
    if permanent or now + pause > created_at + lifetime * SECOND:
        return GiveUp()
    return Again(now + pause)

"""What is written down of who did what: for an organization's admins to read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Action(StrEnum):
    ORGANIZATION_CREATED = "organizationCreated"
    ORGANIZATION_CHANGED = "organizationChanged"
    MEMBER_ADDED = "memberAdded"
    MEMBER_CHANGED = "memberChanged"
    MEMBER_REMOVED = "memberRemoved"
    TOKEN_CREATED = "tokenCreated"  # a name, not a credential
    TOKEN_REMOVED = "tokenRemoved"  # a name, not a credential
    WEBHOOK_CREATED = "webhookCreated"
    WEBHOOK_CHANGED = "webhookChanged"
    WEBHOOK_DISABLED = "webhookDisabled"
    WEBHOOK_REMOVED = "webhookRemoved"
    WEBHOOK_PINGED = "webhookPinged"
    SECRET_ROTATED = "secretRotated"  # a name, not a credential
    DELIVERY_REPEATED = "deliveryRepeated"
    REPLAY_STARTED = "replayStarted"
    REPLAY_STOPPED = "replayStopped"
    EVENTS_LOST = "eventsLost"
    PARTNER_ADDED = "partnerAdded"
    PARTNER_REMOVED = "partnerRemoved"
    REPORT_DELEGATED = "reportDelegated"
    PERSON_ERASED = "personErased"


SERVICE = "service"
"""The actor where nobody asked: a receiver that is gone, the retention."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`actor`: person:<id>, token:<id>, operator or service; `subject`: webhook:<id>, token:<id>, …"""

    number: int
    organization_id: str
    at: int
    actor: str
    action: Action
    subject: str
    details: Mapping[str, Any] = field(default_factory=dict)
    """Never a secret, never the value of a custom header."""

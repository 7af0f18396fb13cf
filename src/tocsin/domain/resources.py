"""The resources as values: what the service keeps, without links and without a viewer.

Every `*_at` is whole microseconds since 1970-01-01T00:00:00Z. Every id is a UUID in its canonical lower-case text.
Optional text is None where nothing was ever given. Source of the members: CONTRACT, section 3.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tocsin.domain.events import Event
from tocsin.domain.states import FeedbackState, OperationState, ReportState


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One entered state; `organization_id` is the organization under which it was entered."""

    state: str
    created_at: int
    organization_id: str


@dataclass(frozen=True, slots=True)
class Progression:
    """`total` operations that are not REFUSED, `resolved` of them RESOLVED."""

    resolved: int
    total: int


@dataclass(frozen=True, slots=True)
class Point:
    """A position in degrees, WGS 84 (srid 4326)."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class BusinessActivity:
    id: str
    name: str
    alternate_name: str | None = None
    metadata_schema: dict[str, Any] = field(default_factory=lambda: {"required": [], "properties": {}})


@dataclass(frozen=True, slots=True)
class Organization:
    id: str
    name: str
    created_at: int
    updated_at: int
    alternate_name: str | None = None
    description: str | None = None
    business_activity_id: str | None = None
    billing_email_address: str | None = None
    notification_email_address: str | None = None
    enabled: bool = True
    logo_id: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    email: str
    created_at: int
    updated_at: int
    given_name: str | None = None
    family_name: str | None = None
    job_title: str | None = None
    opt_in: bool = False
    message_email_enabled: bool = True
    message_push_enabled: bool = True
    member_of: str | None = None
    """The organization of the person's first membership, if any."""
    image_id: str | None = None
    erased_at: int | None = None
    """Not None: nobody any more; what is left of it is what links lead to."""


@dataclass(frozen=True, slots=True)
class Member:
    id: str
    person_id: str
    organization_id: str
    roles: tuple[str, ...]
    created_at: int


@dataclass(frozen=True, slots=True)
class Category:
    id: str
    organization_id: str
    name: str
    color: str
    icon: str | None
    identification_number: str | None
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Place:
    """`rings` are [[(longitude, latitude), …], …], each closed; the first is the outer one, others are holes."""

    id: str
    organization_id: str
    name: str
    branch_code: str | None
    rings: tuple[tuple[tuple[float, float], ...], ...]
    elevation: float
    created_at: int
    updated_at: int
    contained_in_place_id: str | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    id: str
    reporter_id: str
    state: FeedbackState
    public: bool
    point: Point
    elevation: float
    created_at: int
    checkpoints: tuple[Checkpoint, ...]
    progression: Progression
    """The sum over the feedback's reports."""
    description: str | None = None
    category_id: str | None = None
    business_activity_id: str | None = None
    pro_mode: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    """Ids, in the order in which they were added."""


@dataclass(frozen=True, slots=True)
class Report:
    """`progression` counts the report's operations; the report may close when they are equal (CONTRACT, section 6)."""

    id: str
    feedback_id: str
    organization_id: str
    state: ReportState
    created_at: int
    updated_at: int
    checkpoints: tuple[Checkpoint, ...]
    progression: Progression
    description: str | None = None
    identification_number: str | None = None
    priority: int = 1
    tags: tuple[str, ...] = ()
    category_id: str | None = None
    delegated_from: str | None = None
    delegated_to: str | None = None
    """With `delegated_from` the latest hop."""
    delegates: tuple[str, ...] = ()
    """Every organization that it was delegated to; not a part of its representation."""

    @property
    def holders(self) -> tuple[str, ...]:
        """The organizations that see the report, act on it and hear of it: the owner, then the delegates."""
        return self.organization_id, *self.delegates


@dataclass(frozen=True, slots=True)
class Operation:
    """`operator_id` is a person; `feedback_id` is the one of the operation's report."""

    id: str
    report_id: str
    feedback_id: str
    organization_id: str
    state: OperationState
    created_at: int
    updated_at: int
    checkpoints: tuple[Checkpoint, ...]
    name: str | None = None
    description: str | None = None
    identification_number: str | None = None
    duration: int | None = None
    """Minutes."""
    start_date: int | None = None
    operator_id: str | None = None
    images: tuple[str, ...] = ()
    """As of a feedback."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """What its owner sees of it. Its secret is not a member: it is shown once, by the use case that made it."""

    id: str
    organization_id: str
    event: Event
    payload_url: str
    enabled: bool
    created_at: int
    updated_at: int
    description: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    signature: str = "v1"
    max_in_flight: int = 10
    rate_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class WebhookStatus:
    """What became of a webhook so far; `state` is active, failing or disabled. Ordinals are of its event type."""

    state: str
    cursor: int
    head: int
    pending: int
    """Events that are neither delivered, parked nor given up."""
    parked: int
    """Deliveries that wait for a retry or behind one."""
    lost: int = 0
    """Events that were pruned by age before they could be delivered."""
    reason: str | None = None
    failing_since: int | None = None
    next_attempt_at: int | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """An organization's machine credential; the token itself is shown once and stored hashed."""

    id: str
    organization_id: str
    name: str
    roles: tuple[str, ...]
    created_at: int
    expires_at: int | None = None


class DeliveryState(StrEnum):
    """Of one event for one webhook (CONTRACT, section 9, "Deliveries")."""

    PENDING = "pending"
    DELIVERED = "delivered"
    RETRYING = "retrying"
    HELD = "held"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one webhook; `reason` says in plain words why it is in its state."""

    webhook_id: str
    event_id: str
    sequence: int
    ordinal: int
    event: Event
    resource_id: str
    state: DeliveryState
    attempts: int
    occurred_at: int
    reason: str
    next_attempt_at: int | None = None
    delivered_at: int | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """A part of what a webhook has behind it, sent again; `state` is running, done or stopped."""

    id: str
    webhook_id: str
    event: Event
    first_ordinal: int
    last_ordinal: int
    only_failed: bool
    total: int
    """Events in it."""
    done: int
    """Of those: delivered or given up."""
    failed: int
    """Of those: given up."""
    state: str
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One POST. Durations are microseconds; None where the phase did not happen."""

    number: int
    started_at: int
    outcome: str
    reason: str
    total_us: int
    status: int | None = None
    response_body: bytes | None = None
    address: str | None = None
    resolve_us: int | None = None
    connect_us: int | None = None
    tls_us: int | None = None
    first_byte_us: int | None = None

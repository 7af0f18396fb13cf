"""What passes between the log, its storage and its workers: plain values, and nothing that does anything.

Every `*_at` is whole microseconds since the epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from tocsin.domain.events import Event


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event on its way into an organization's log; `body` is the whole notification."""

    organization_id: str
    event: Event
    id: str
    resource_id: str
    body: bytes


class LoggedEvent(NamedTuple):
    """An event as the log keeps it; `body` is the exact notification."""

    organization_id: str
    sequence: int
    event: str
    ordinal: int
    id: str
    resource_id: str
    occurred_at: int
    body: bytes
    erased_at: int | None = None
    """When it was rendered anew, without what a person who was erased had written; None: never."""


class Subscription(NamedTuple):
    """What a worker needs to deliver for one webhook, or for one running replay of it (`replay_id`)."""

    webhook_id: str
    replay_id: str
    organization_id: str
    endpoint_id: str
    event: str
    url: str
    revision: int
    """Of everything here; another one: to be leased anew."""
    epoch: int
    """Of what it is owed, and where: results of an older one are dropped."""
    cursor: int
    last_ordinal: int | None
    """For a replay: where it ends."""
    only_failed: bool
    max_in_flight: int
    rate_per_second: float | None
    signature: str
    headers: bytes
    """Encrypted."""
    secret: bytes
    """Encrypted."""
    previous_secret: bytes | None
    previous_secret_until: int | None
    settled: frozenset[int] = frozenset()
    """Ordinals beyond the cursor that are delivered or parked already (after an uncertain lease)."""


class EndpointHealth(NamedTuple):
    """The columns of an endpoint that the delivery policy owns (`delivery.policy.Health` says what they mean)."""

    consecutive_failures: int = 0
    failing_resources: tuple[str, ...] = ()
    failing_since: int | None = None
    opened_at: int | None = None
    probes: int = 0
    probed_sequence: int = 0
    not_before: int = 0
    window: int = 1
    rate_at: int = 0


class LeasedEndpoint(NamedTuple):
    id: str
    organization_id: str
    token: str
    health: EndpointHealth
    has_retries: bool
    """Some delivery of it waits or is held: reads must ask which resources are blocked."""
    subscriptions: tuple[Subscription, ...]


class Taken(NamedTuple):
    """`noticed`: how many heads of logs were ahead of what workers knew; the endpoints of some are among `leased`,
    others are due, or were told to look again."""

    noticed: int
    leased: tuple[LeasedEndpoint, ...]


NOTHING_TAKEN: Final = Taken(0, ())


Revisions: TypeAlias = Mapping[tuple[str, str], int]
"""Of the enabled webhooks and running replays of an endpoint, by (webhook_id, replay_id)."""


class Stretch(NamedTuple):
    """A part of one log that a subscription wants: `event`s of the organization after an ordinal."""

    organization_id: str
    event: str
    after: int
    limit: int
    failed_of: str | None = None
    """Only the events that were given up for this webhook."""


class DueRetry(NamedTuple):
    webhook_id: str
    replay_id: str
    attempts: int
    """Attempts that spent the schedule so far."""
    event: LoggedEvent


class ReadRequest(NamedTuple):
    """What one leased endpoint wants next."""

    endpoint_id: str
    stretches: tuple[Stretch, ...]
    retries_limit: int
    """Due retries wanted; 0: none."""
    probe_after: int | None = None
    """Not None: the breaker is open; the oldest parked event with a greater sequence is wanted, due or not."""
    check_blocked: bool = False


class ReadAnswer(NamedTuple):
    endpoint_id: str
    events: tuple[tuple[LoggedEvent, ...], ...]
    """For each stretch asked for, in order; shorter than its limit where the log ends."""
    retries: tuple[DueRetry, ...]
    blocked: frozenset[tuple[str, str]]
    """(replay_id, resource_id), of the resources in `events`: those with a delivery at this endpoint that waits or is
    held."""
    revisions: Revisions
    """As they were when the events were read, or later."""


class AttemptRecord(NamedTuple):
    """A row of attempts, in the order in which it is inserted. Durations are microseconds."""

    webhook_id: str
    sequence: int
    ordinal: int
    replay_id: str
    delivered: bool
    started_at: int
    outcome: str
    status: int | None
    reason: str | None
    address: str | None
    resolve_us: int | None
    connect_us: int | None
    tls_us: int | None
    first_byte_us: int | None
    total_us: int
    response_body: bytes | None


class Parked(NamedTuple):
    """A delivery that leaves the simple path behind the cursor, or comes again to the park: upserted."""

    webhook_id: str
    replay_id: str
    epoch: int
    organization_id: str
    sequence: int
    ordinal: int
    resource_id: str
    state: str
    attempts: int
    next_attempt_at: int | None
    reason: str


class CursorMove(NamedTuple):
    """Of a webhook, or of a replay (`replay_id`)."""

    webhook_id: str
    replay_id: str
    epoch: int
    cursor: int


@dataclass(slots=True)
class Settlement:
    """What one endpoint's holder wants written. Attempts are always written, the rest only while the lease holds."""

    endpoint_id: str
    token: str
    attempts: list[AttemptRecord] = field(default_factory=list)
    cursors: list[CursorMove] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)
    settled_retries: list[tuple[str, str, int, str]] = field(default_factory=list)
    """(webhook_id, replay_id, sequence, resource_id) of parked deliveries that are delivered: their rows go."""
    health: EndpointHealth | None = None
    disable_reason: str | None = None
    """Not None: every webhook of the endpoint is disabled with this reason."""
    release: bool = False
    due_at: int | None = None
    """On release: when to look again, besides retries and what came meanwhile; None: not by itself."""
    uncertain: bool = False


class Settled(NamedTuple):
    """`lost`: the lease was another's, nothing but attempts was written."""

    endpoint_id: str
    lost: bool
    unblocked: frozenset[tuple[str, str]] = frozenset()
    """(replay_id, resource_id) of those touched: nothing of them is parked at this endpoint any more."""

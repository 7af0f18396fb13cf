"""The tables. The same on every engine; the migrations bring a database to exactly this.

Rules: an id is a UUID in lower-case text; a `*_at` is whole microseconds since the epoch; a list or an object that is
only ever read whole is JSON text. Enumerations are CHECKed against the tables of the domain. No foreign key points into
or out of the log and its deliveries (events, attempts, retries): those are written in batches and pruned by age.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

from tocsin.domain.events import Event
from tocsin.domain.languages import Language
from tocsin.domain.mails import NoticeKind
from tocsin.domain.states import FeedbackState, OperationState, ReportState

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class RetryState(StrEnum):
    """Of a delivery that is not simply behind or beyond its webhook's cursor. The comment says who moves it out."""

    RETRYING = "retrying"  # the worker, when next_attempt_at has come
    HELD = "held"  # the worker, when the earlier event of the same resource is delivered or given up
    PAUSED = "paused"  # its webhook is disabled; the owner, by enabling it
    FAILED = "failed"  # given up; the owner, by a redelivery
    SKIPPED = "skipped"  # the owner chose to skip it; the owner, by a redelivery


class ReplayState(StrEnum):
    RUNNING = "running"  # the worker, when the range is behind and nothing of it waits; the owner, by DELETE
    DONE = "done"
    STOPPED = "stopped"


def one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def identity() -> Column[str]:
    return Column("id", Text, primary_key=True)


def reference(name: str, target: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, ForeignKey(f"{target}.id"), nullable=nullable)


def moment(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def cell() -> Column[int | None]:
    """Of a position, as `domain.cells` numbers it; null where an older node has made the row."""
    return Column("cell", BigInteger, nullable=True)


def listing(name: str, *columns: str, where: tuple[str, str] | None = None) -> Index:
    """An index that a list is read from: with the list's order in it, and what the list is narrowed by.

    On PostgreSQL it is built beside writing, after the migrations (`storage.indexes`), for its table may be long.
    `where`: its condition on SQLite and on PostgreSQL.
    """
    partial: dict[str, Any] = (
        {} if where is None else {"sqlite_where": text(where[0]), "postgresql_where": text(where[1])}
    )
    return Index(name, *columns, info={"listing": True}, **partial)


secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),  # encrypted under TOCSIN_SECRET_KEY
    moment("created_at"),
)

business_activities = Table(
    "business_activities",
    metadata,
    identity(),
    Column("name", Text, nullable=False),
    Column("alternate_name", Text),
    Column("metadata_schema", Text, nullable=False),
)

people = Table(
    "people",
    metadata,
    identity(),
    Column("email", Text, nullable=False),
    Column("email_folded", Text, nullable=False, unique=True),
    Column("password_hash", Text),
    moment("password_changed_at"),
    Column("given_name", Text),
    Column("family_name", Text),
    Column("job_title", Text),
    Column("opt_in", Boolean, nullable=False, server_default=false()),
    Column("message_email_enabled", Boolean, nullable=False, server_default=true()),
    Column("message_push_enabled", Boolean, nullable=False, server_default=true()),
    Column("language", Text, one_of("language", Language)),  # of mails; null: never said
    moment("erased_at", nullable=True),  # not null: nobody any more, only what links lead to
    moment("created_at"),
    moment("updated_at"),
    Column("image_id", Text),
)

organizations = Table(
    "organizations",
    metadata,
    identity(),
    Column("name", Text, nullable=False),
    Column("alternate_name", Text),
    Column("description", Text),
    reference("business_activity_id", "business_activities", nullable=True),
    Column("billing_email_address", Text),
    Column("notification_email_address", Text),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    moment("created_at"),
    moment("updated_at"),
    Column("logo_id", Text),
)

members = Table(
    "members",
    metadata,
    identity(),
    reference("organization_id", "organizations"),
    reference("person_id", "people"),
    Column("roles", Text, nullable=False),  # JSON list
    moment("created_at"),
    UniqueConstraint("organization_id", "person_id"),
    Index(None, "person_id"),
)

tokens = Table(
    "tokens",
    metadata,
    identity(),
    reference("organization_id", "organizations"),
    Column("name", Text, nullable=False),
    Column("roles", Text, nullable=False),  # JSON list
    Column("hash", LargeBinary, nullable=False, unique=True),
    moment("expires_at", nullable=True),
    moment("created_at"),
    Index(None, "organization_id"),
)

password_links = Table(
    "password_links",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    reference("person_id", "people"),
    moment("expires_at"),
    moment("created_at", nullable=True),  # of those that were asked for: they are counted
    Index(None, "person_id"),
)

categories = Table(
    "categories",
    metadata,
    identity(),
    reference("organization_id", "organizations"),
    Column("name", Text, nullable=False),
    Column("color", Text, nullable=False),
    Column("icon", Text),
    Column("identification_number", Text),
    moment("created_at"),
    moment("updated_at"),
    Index(None, "organization_id", "created_at"),
)

places = Table(
    "places",
    metadata,
    identity(),
    reference("organization_id", "organizations"),
    Column("name", Text, nullable=False),
    Column("branch_code", Text),
    Column("rings", Text, nullable=False),  # JSON [[[longitude, latitude], …], …]
    Column("elevation", Float, nullable=False, server_default="0.0"),
    reference("contained_in_place_id", "places", nullable=True),
    Column("west", Float, nullable=False),
    Column("south", Float, nullable=False),
    Column("east", Float, nullable=False),
    Column("north", Float, nullable=False),
    moment("created_at"),
    moment("updated_at"),
    Column("area", Float),  # square degrees; null: it has no cells yet
    Index(None, "organization_id", "created_at"),
    Index(None, "west", "south", "east", "north"),
    Index(None, "contained_in_place_id"),
    Index("ix_places_nesting", "organization_id", "west", "east", "south", "north"),
    Index(
        "ix_places_unindexed",
        "west",
        sqlite_where=text("area IS NULL"),
        postgresql_where=text("area IS NULL"),
    ),
)

place_cells = Table(
    "place_cells",
    metadata,
    Column("cell", BigInteger, primary_key=True),  # as `domain.place_cells` numbers them
    Column("place_id", Text, ForeignKey("places.id", ondelete="CASCADE"), primary_key=True),
    Column("whole", Boolean, nullable=False),  # nothing of the cell lies outside the place
    Index(None, "place_id"),
    sqlite_with_rowid=False,
)

feedbacks = Table(
    "feedbacks",
    metadata,
    identity(),
    reference("reporter_id", "people"),
    Column("state", Text, one_of("state", FeedbackState), nullable=False),
    Column("public", Boolean, nullable=False),
    Column("description", Text),
    reference("category_id", "categories", nullable=True),
    reference("business_activity_id", "business_activities", nullable=True),
    Column("pro_mode", Boolean, nullable=False, server_default=false()),
    Column("metadata", Text, nullable=False),  # JSON object of strings
    Column("latitude", Float, nullable=False),
    Column("longitude", Float, nullable=False),
    Column("elevation", Float, nullable=False),
    Column("checkpoints", Text, nullable=False),  # JSON [[state, created_at, organization_id], …]
    moment("created_at"),
    Column("images", Text, nullable=False, server_default="[]"),  # JSON list of ids
    cell(),
    Index(None, "created_at"),
    Index(None, "reporter_id", "created_at"),
    listing("ix_feedbacks_public", "created_at", "id", "state", where=("public = 1", "public")),
    listing("ix_feedbacks_category", "category_id", "created_at", "id", "state", where=("public = 1", "public")),
    listing("ix_feedbacks_cell", "cell", "created_at", "id", "state", where=("public = 1", "public")),
    listing("ix_feedbacks_unfinished", "id", where=("cell IS NULL", "cell IS NULL")),
)

reports = Table(
    "reports",
    metadata,
    identity(),
    reference("feedback_id", "feedbacks"),
    reference("organization_id", "organizations"),
    Column("state", Text, one_of("state", ReportState), nullable=False),
    Column("description", Text),
    Column("identification_number", Text),
    Column("priority", Integer, nullable=False, server_default="1"),
    Column("tags", Text, nullable=False),  # JSON list
    reference("category_id", "categories", nullable=True),
    reference("delegated_from", "organizations", nullable=True),
    reference("delegated_to", "organizations", nullable=True),
    Column("operations_total", Integer, nullable=False, server_default="0"),  # not REFUSED
    Column("operations_resolved", Integer, nullable=False, server_default="0"),
    Column("checkpoints", Text, nullable=False),  # as in feedbacks
    moment("created_at"),
    moment("updated_at"),
    # of the feedback, for lists; null where an older node has made the report: see storage.unfinished
    cell(),
    Column("public", Boolean),
    Column("reporter_id", Text),
    Index(None, "feedback_id"),
    listing("ix_reports_list", "organization_id", "created_at", "id", "state", "category_id", "updated_at"),
    listing("ix_reports_cell", "organization_id", "cell", "created_at", "id", "state", "category_id", "updated_at"),
    listing("ix_reports_feedback", "organization_id", "public", "created_at", "feedback_id"),
    listing("ix_reports_reporter", "organization_id", "reporter_id"),
    listing("ix_reports_delegated", "delegated_to", "created_at", "id", where=("delegated_to IS NOT NULL",) * 2),
    listing("ix_reports_delegated_from", "delegated_from", "id", where=("delegated_from IS NOT NULL",) * 2),
    listing("ix_reports_unfinished", "id", where=("cell IS NULL", "cell IS NULL")),
)

operations = Table(
    "operations",
    metadata,
    identity(),
    reference("report_id", "reports"),
    reference("feedback_id", "feedbacks"),
    reference("organization_id", "organizations"),
    reference("operator_id", "people", nullable=True),
    Column("state", Text, one_of("state", OperationState), nullable=False),
    Column("name", Text),
    Column("description", Text),
    Column("identification_number", Text),
    Column("duration", Integer),  # minutes
    moment("start_date", nullable=True),
    Column("checkpoints", Text, nullable=False),  # as in feedbacks
    moment("created_at"),
    moment("updated_at"),
    Column("images", Text, nullable=False, server_default="[]"),  # as in feedbacks
    Index(None, "report_id", "created_at"),
    Index(None, "operator_id", "created_at"),
    listing("ix_operations_list", "organization_id", "created_at", "id", "state", "updated_at"),
    listing("ix_operations_operator", "organization_id", "operator_id"),
)

images = Table(
    "images",
    metadata,
    identity(),
    Column("resource_type", Text, nullable=False),  # Feedback, Operation, Organization, Person
    Column("resource_id", Text, nullable=False),
    Column("actor", Text, nullable=False),  # person:<id>, token:<id>, operator
    Column("media_type", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    moment("created_at"),
    Index(None, "resource_id"),
)

comments = Table(
    "comments",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("resource_type", Text, nullable=False),  # Feedback, Operation
    Column("resource_id", Text, nullable=False),
    Column("actor", Text, nullable=False),  # as in images
    Column("text", Text, nullable=False),
    moment("created_at"),
    Index(None, "resource_id", "id"),
)

contributions = Table(
    "contributions",
    metadata,
    Column("feedback_id", Text, ForeignKey("feedbacks.id"), primary_key=True),
    Column("person_id", Text, ForeignKey("people.id"), primary_key=True),
    moment("created_at"),
    Index(None, "feedback_id", "created_at"),
)

operation_logs = Table(
    "operation_logs",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("operation_id", Text, nullable=False),  # no foreign key: a node that knows no logs removes operations, too
    Column("version", Integer, nullable=False),
    Column("action", Text, nullable=False),
    Column("actor", Text, nullable=False),  # as in images
    Column("data", Text, nullable=False),  # JSON object: what the operation's members became
    moment("created_at"),
    UniqueConstraint("operation_id", "version"),
)

logs = Table(
    "logs",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False, server_default="0"),  # of the newest event
    moment("occurred_at"),  # of the newest event: never goes backwards
    Column("oldest_sequence", BigInteger, nullable=False, server_default="1"),  # that retention has left
)

heads = Table(
    "heads",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("event", Text, one_of("event", Event), primary_key=True),
    Column("ordinal", BigInteger, nullable=False, server_default="0"),  # of the newest event of this type
    Column("ahead", Boolean, nullable=False, server_default=false()),  # events came that no worker has noticed yet
    Index("ix_heads_ahead", "organization_id", sqlite_where=text("ahead = 1"), postgresql_where=text("ahead")),
)

events = Table(
    "events",
    metadata,
    Column("organization_id", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("event", Text, nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    Column("id", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    moment("occurred_at"),
    Column("body", LargeBinary, nullable=False),  # the notification: the exact bytes of every delivery
    moment("erased_at", nullable=True),  # not null: rendered anew without what a person who was erased had written
    Index("ix_events_id", "id", unique=True),
    Index("ix_events_ordinal", "organization_id", "event", "ordinal", unique=True),
)

endpoints = Table(
    "endpoints",
    metadata,
    identity(),
    reference("organization_id", "organizations"),
    Column("url", Text, nullable=False),
    moment("created_at"),
    # the lease: whoever holds it is the only one who starts deliveries here
    Column("lease_owner", Text),
    Column("lease_token", Text),  # not null with due_at in the past: its holder died
    moment("due_at", nullable=True),  # null: idle; while leased: the lease's end
    Column("again", Boolean, nullable=False, server_default=false()),  # something came while it was leased
    Column(
        "uncertain", Boolean, nullable=False, server_default=false()
    ),  # deliveries beyond a cursor: see attempts and retries
    # health, as `delivery.policy.Health` has it
    Column("consecutive_failures", Integer, nullable=False, server_default="0"),
    Column("failing_resources", Text, nullable=False, server_default="[]"),  # JSON list
    moment("failing_since", nullable=True),
    moment("opened_at", nullable=True),  # the breaker is open since
    Column("probes", Integer, nullable=False, server_default="0"),  # since opened_at
    Column("probed_sequence", BigInteger, nullable=False, server_default="0"),
    Column(
        "not_before", BigInteger, nullable=False, server_default="0"
    ),  # breaker or Retry-After: nothing is sent earlier
    Column("window", Integer, nullable=False, server_default="1"),  # slow start: POSTs in flight allowed now
    Column(
        "rate_at", BigInteger, nullable=False, server_default="0"
    ),  # ratePerSecond: when the next POST would be on time
    UniqueConstraint("organization_id", "url"),
    Index(
        "ix_endpoints_due",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
)

webhooks = Table(
    "webhooks",
    metadata,
    identity(),
    reference("organization_id", "organizations"),
    reference("endpoint_id", "endpoints"),
    Column("event", Text, one_of("event", Event), nullable=False),
    Column("payload_url", Text, nullable=False),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Column("disabled_reason", Text),
    Column("description", Text),
    Column("headers", LargeBinary, nullable=False),  # encrypted JSON object: it may hold credentials
    Column("signature", Text, one_of("signature", ("v1", "v1a")), nullable=False),
    Column("secret", LargeBinary, nullable=False),  # encrypted
    Column("previous_secret", LargeBinary),  # encrypted; signs too until previous_secret_until
    moment("previous_secret_until", nullable=True),
    Column("max_in_flight", Integer, nullable=False, server_default="10"),
    Column("rate_per_second", Float),
    Column("cursor", BigInteger, nullable=False),  # the ordinal up to which events are settled or parked
    Column("since", BigInteger, nullable=False),  # the ordinal after which events are owed
    Column("lost", BigInteger, nullable=False, server_default="0"),  # events pruned before they could be delivered
    Column("revision", Integer, nullable=False, server_default="0"),  # of everything that a worker reads of it
    # of event, URL, enabled, and of a cursor that was put elsewhere: a worker's results for an older one are dropped
    Column("epoch", Integer, nullable=False, server_default="0"),
    moment("created_at"),
    moment("updated_at"),
    Index(None, "organization_id", "created_at"),
    Index(None, "organization_id", "event"),
    Index(None, "endpoint_id"),
)

skips = Table(
    "skips",
    metadata,
    Column("webhook_id", Text, primary_key=True),
    Column("event", Text, primary_key=True),
    Column("first_ordinal", BigInteger, primary_key=True),
    Column("last_ordinal", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    moment("created_at"),
)

retries = Table(
    "retries",
    metadata,
    Column("webhook_id", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("replay_id", Text, primary_key=True, server_default=""),  # '' in the live lane
    Column("organization_id", Text, nullable=False),
    Column("endpoint_id", Text, nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("state", Text, one_of("state", RetryState), nullable=False),
    Column("attempts", Integer, nullable=False),
    moment("next_attempt_at", nullable=True),
    Column("reason", Text, nullable=False),
    moment("created_at"),
    Index(
        "ix_retries_due",
        "endpoint_id",
        "next_attempt_at",
        sqlite_where=text("state = 'retrying'"),
        postgresql_where=text("state = 'retrying'"),
    ),
    Index(
        "ix_retries_resource",
        "endpoint_id",
        "resource_id",
        sqlite_where=text("state IN ('retrying', 'held')"),
        postgresql_where=text("state IN ('retrying', 'held')"),
    ),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("webhook_id", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),  # 0: a ping
    Column("ordinal", BigInteger, nullable=False),
    Column("replay_id", Text, nullable=False, server_default=""),
    Column("delivered", Boolean, nullable=False),
    moment("started_at"),
    Column("outcome", Text, nullable=False),
    Column("status", Integer),
    Column("reason", Text),  # null: delivered, nothing to explain
    Column("address", Text),
    Column("resolve_us", Integer),
    Column("connect_us", Integer),
    Column("tls_us", Integer),
    Column("first_byte_us", Integer),
    Column("total_us", Integer, nullable=False),
    Column("response_body", LargeBinary),  # failures: the first 4 KiB
    Index("ix_attempts_delivery", "webhook_id", "sequence"),
)

replays = Table(
    "replays",
    metadata,
    identity(),
    Column("webhook_id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("endpoint_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("first_ordinal", BigInteger, nullable=False),
    Column("last_ordinal", BigInteger, nullable=False),
    Column("cursor", BigInteger, nullable=False),
    Column("only_failed", Boolean, nullable=False, server_default=false()),
    Column("total", BigInteger, nullable=False),
    Column("state", Text, one_of("state", ReplayState), nullable=False),
    Column("revision", Integer, nullable=False, server_default="0"),
    moment("created_at"),
    moment("updated_at"),
    Index(None, "webhook_id", "created_at"),
    Index(
        "ix_replays_running",
        "endpoint_id",
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("organization_id", Text, nullable=False),
    moment("at"),
    Column("actor", Text, nullable=False),  # person:<id>, token:<id>, operator, service
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),  # webhook:<id>, token:<id>, …
    Column("details", Text, nullable=False),  # JSON object; never a secret
    Index(None, "organization_id", "id"),
)

chores = Table(
    "chores",
    metadata,
    Column("name", Text, primary_key=True),
    moment("begun_at"),  # on whichever node; see housekeeping
)

relationships = Table(
    "relationships",
    metadata,
    Column("organization_id", Text, ForeignKey("organizations.id"), primary_key=True),
    Column("partner_id", Text, ForeignKey("organizations.id"), primary_key=True),
    moment("created_at"),
)

delegations = Table(
    "delegations",
    metadata,
    Column("report_id", Text, ForeignKey("reports.id"), primary_key=True),
    Column(
        "organization_id", Text, ForeignKey("organizations.id"), primary_key=True
    ),  # that holds it besides the owner
    reference("delegated_from", "organizations"),
    moment("created_at"),
    Index(None, "organization_id", "report_id"),
)

notices = Table(
    "notices",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("kind", Text, one_of("kind", NoticeKind), nullable=False),
    Column("organization_id", Text),
    Column("person_id", Text),
    Column("subject_id", Text),
    Column("actor_id", Text),
    Column("address", Text),
    Column("details", Text, nullable=False),  # JSON object of strings
    moment("created_at"),
)

mails = Table(
    "mails",
    metadata,
    identity(),  # also of its Message-ID
    Column("kind", Text, one_of("kind", NoticeKind), nullable=False),
    Column("person_id", Text),  # to whom, if it is to one
    Column("content", LargeBinary, nullable=False),  # encrypted JSON object: it may hold a link to set a password
    Column("failures", Integer, nullable=False, server_default="0"),
    moment("next_attempt_at"),  # while it is being sent: when another node may think that this one died
    moment("created_at"),
    Index(None, "next_attempt_at"),
)

erasures = Table(
    "erasures",
    metadata,
    identity(),
    reference("person_id", "people"),
    Column("actor", Text, nullable=False),  # as in audit
    Column("events", Integer, nullable=False, server_default="0"),  # rendered anew so far
    moment("created_at"),
    moment("done_at", nullable=True),  # null: there may be events left to render anew
)

answers = Table(
    "answers",
    metadata,
    Column("hash", LargeBinary, primary_key=True),  # of caller and Idempotency-Key
    Column("caller", Text, nullable=False),  # person:<id>, token:<id>, address:<network>
    Column("answer", LargeBinary, nullable=False),  # encrypted: what the request was, and the whole answer
    moment("created_at"),
    Index(None, "created_at"),
    Index(None, "caller"),
)

tries = Table(
    "tries",
    metadata,
    Column("hash", LargeBinary, primary_key=True),  # of a limit's name and whoever it limits
    Column("moments", Text, nullable=False),  # JSON list, oldest first
    moment("expires_at"),  # when the last of them no longer counts
    Index(None, "expires_at"),
)

"""A large database, filled quickly, with the rows that the product writes.

The use cases make one of each by themselves: a report of a feedback, its transition with the event, a webhook with its
endpoint. The rows that they wrote are read back and copied under other ids, by COPY (PostgreSQL) or executemany
(SQLite). Nothing here knows a column that it does not change, and a test compares a copy with what the product writes
for the same ids.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import asyncpg
from sqlalchemy import Table, select, update
from tests.postgres import execute

from tocsin import app
from tocsin.cli.servers import prepare as migrated
from tocsin.clock import SystemClock
from tocsin.delivery.recipient import headers_purpose, secret_purpose
from tocsin.delivery.signing import NEW_SECRET_BYTES
from tocsin.delivery.target import parse
from tocsin.domain.events import Event
from tocsin.domain.ids import uuid7
from tocsin.domain.resources import Point
from tocsin.domain.states import ReportTransition
from tocsin.service.caller import OPERATOR, Caller
from tocsin.service.context import Context
from tocsin.service.feedbacks import NewFeedback
from tocsin.service.use_cases import UseCases
from tocsin.service.vault import Vault
from tocsin.settings import load
from tocsin.storage.interface import Writing
from tocsin.storage.migrate import is_sqlite, sqlite_path
from tocsin.storage.schema import endpoints, events, feedbacks, heads, logs, reports, webhooks
from tocsin.storage.sqlite import connect

PUBLIC_URL: Final = "https://tocsin.example.org"
EVENT: Final = Event.REPORT_STATE_CHANGED
SILENT: Final = Event.OPERATION_REMOVED
"""No such event ever comes."""
RESOURCES: Final = 250
"""In each organization; its events take turns with them."""
CORNERS: Final = ((-1.0, 44.0), (0.0, 44.0), (0.0, 45.0), (-1.0, 45.0), (-1.0, 44.0))
INSIDE: Final = Point(44.5, -0.5)
IDS: Final = 2**32
"""Of one kind, at most."""

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is in each of `organizations`."""

    organizations: int = 100
    reports: int = 0
    """NEW ones."""
    webhooks: int = 1
    """For EVENT, each with an endpoint of its own."""
    silent: int = 0
    """Webhooks for an event that never comes."""
    events: int = 0
    """EVENTs in the log."""
    waiting: bool = False
    """The events are still to be delivered to the webhooks; else they are behind their cursors."""
    dead: str | None = None
    """The URL of an endpoint of the first organization alone for which the events wait; in that case only the first
    organization has events."""


@dataclass(frozen=True)
class City:
    """An organization, a token with its admin's rights, and its reports, as they are right after the feedback."""

    id: str
    token: str
    reports: Sequence[str]
    dead: str | None = None
    """The webhook whose endpoint is dead."""


class Still:
    """A clock that stands still: what the product makes at one moment differs in nothing but ids."""

    def __init__(self, now: int) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def monotonic(self) -> float:
        return self._now / 1e6


@dataclass(frozen=True)
class Prototype:
    """Rows of one organization, as the product wrote them."""

    organization_id: str
    feedback: Values
    report: Values
    event: Values
    """That the report was accepted."""
    endpoint: Values
    webhook: Values

    def feedback_of(self, organization_id: str, feedback_id: str) -> Values:
        return self._moved(self.feedback, organization_id) | {"id": feedback_id}

    def report_of(self, organization_id: str, feedback_id: str, report_id: str) -> Values:
        return self._moved(self.report, organization_id) | {"id": report_id, "feedback_id": feedback_id}

    def event_of(self, organization_id: str, ordinal: int, event_id: str, report_id: str, sequence: int) -> Values:
        """Of a report of the prototype's own feedback."""
        body = self.event["body"].replace(self.report["id"].encode(), report_id.encode())
        body = body.replace(self.organization_id.encode(), organization_id.encode())
        return {
            **self.event,
            "organization_id": organization_id,
            "sequence": sequence,
            "ordinal": ordinal,
            "id": event_id,
            "resource_id": report_id,
            "body": body,
        }

    def endpoint_of(self, organization_id: str, endpoint_id: str, url: str) -> Values:
        return {**self.endpoint, "id": endpoint_id, "organization_id": organization_id, "url": parse(url).url}

    def webhook_of(
        self, context: Context, organization_id: str, endpoint_id: str, webhook_id: str, url: str, event: Event, at: int
    ) -> Values:
        """With a secret of its own; `at`: its cursor."""
        vault: Vault = context.vault
        return {
            **self.webhook,
            "id": webhook_id,
            "organization_id": organization_id,
            "endpoint_id": endpoint_id,
            "payload_url": url,
            "event": event.value,
            "cursor": at,
            "since": at,
            "headers": vault.seal(b"{}", headers_purpose(webhook_id)),
            "secret": vault.seal(context.entropy(NEW_SECRET_BYTES), secret_purpose(webhook_id)),
        }

    def _moved(self, row: Values, organization_id: str) -> dict[str, Any]:
        """To another organization, wherever its id is."""
        before = self.organization_id
        return {
            name: value.replace(before, organization_id) if isinstance(value, str) else value
            for name, value in row.items()
        }


async def prototype(use_cases: UseCases, organization_id: str, east: float = 0.0) -> Prototype:
    """Make one of each in an organization that has nothing yet, as the API's handlers do. `east`: degrees, from where
    others have their places."""
    ring = tuple((longitude + east, latitude) for longitude, latitude in CORNERS)
    place = {"name": "Centre", "branch_code": None, "elevation": 0.0}
    await use_cases.directory.create_place(OPERATOR, organization_id, (ring,), place)
    address = f"{organization_id}@example.org"
    reporter = await use_cases.authentication.register(address, "correct horse", "127.0.0.1")
    inside = Point(INSIDE.latitude, INSIDE.longitude + east)
    feedback = await use_cases.feedbacks.post(Caller(person_id=reporter.id), NewFeedback(inside))
    (report,) = await _rows(use_cases, reports, feedback_id=feedback.id, organization_id=organization_id)
    url = "http://127.0.0.1:9000/prototype"
    made = await use_cases.webhooks.create(OPERATOR, organization_id, {"event": EVENT.value, "payload_url": url})
    (webhook,) = await _rows(use_cases, webhooks, id=made.webhook.id)
    (endpoint,) = await _rows(use_cases, endpoints, id=webhook["endpoint_id"])
    await use_cases.reports.transition(OPERATOR, report["id"], ReportTransition.ACCEPT.value)
    (event,) = await _rows(use_cases, events, resource_id=report["id"], event=EVENT.value)
    await use_cases.webhooks.change(OPERATOR, made.webhook.id, {"enabled": False})  # nothing is sent there
    (feedback_row,) = await _rows(use_cases, feedbacks, id=feedback.id)
    return Prototype(organization_id, feedback_row, report, event, endpoint, webhook)


async def _rows(use_cases: UseCases, table: Table, **where: str) -> list[dict[str, Any]]:
    conditions = [table.c[name] == value for name, value in where.items()]
    async with use_cases.context.storage.read() as tx:
        found = await tx.rows(select(table).where(*conditions))
    return [{name: row[name] for name in row.keys()} for row in found]  # noqa: SIM118 # an engine's row


async def fill(environment: Mapping[str, str], plan: Plan, receiver: str) -> list[City]:
    """Fill an empty database; every webhook's URL begins with `receiver`."""
    settings = load(environment)
    migrated(settings, with_migrations=True)
    clock = Still(SystemClock().now())
    async with app.open_use_cases(settings, PUBLIC_URL, clock) as use_cases:
        made = await use_cases.organizations.create_for("Prototype", "admin@example.org")
        model = await prototype(use_cases, made.organization.id)
        filling = Filling(use_cases.context, model, plan, receiver, clock.now())
        for number in range(plan.organizations):
            city = await use_cases.organizations.create_for(f"City {number}", "admin@example.org")
            filling.add(city.organization.id, city.token)
        for table, rows in filling.rows():
            await write(settings.database_url, table, rows)
        await use_cases.context.storage.write(filling.set_heads)
    _settle(settings.database_url)
    return filling.cities


def _settle(url: str) -> None:
    """What a database that has run for a while has behind it."""
    if is_sqlite(url):
        connection = connect(sqlite_path(url))
        connection.execute("ANALYZE")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
    else:
        execute(url, "VACUUM ANALYZE")
        execute(url, "CHECKPOINT")


class Filling:
    """The rows of a plan, organization by organization, each made when it is written."""

    def __init__(self, context: Context, model: Prototype, plan: Plan, receiver: str, now: int) -> None:
        self._context = context
        self._model = model
        self._plan = plan
        self._receiver = receiver
        self._now = now
        self._kinds = 0
        self.cities: list[City] = []

    def add(self, organization_id: str, token: str) -> None:
        first = not self.cities
        report_ids = list(self._ids(self._plan.reports))
        dead = next(self._ids(1)) if first and self._plan.dead is not None else None
        self.cities.append(City(organization_id, token, report_ids, dead))

    def _ids(self, count: int) -> Iterator[str]:
        """Later than any other."""
        self._kinds += 1
        begin = self._kinds * IDS
        return (uuid7(self._now, n.to_bytes(10)) for n in range(begin, begin + count))

    def _events(self, city: City) -> int:
        return self._plan.events if self._plan.dead is None or city is self.cities[0] else 0

    def rows(self) -> Iterator[tuple[Table, Iterable[Values]]]:
        """By table, in the order of references."""
        made = [self._of(city) for city in self.cities]
        for table in (feedbacks, reports, endpoints, webhooks, events):
            yield table, chain.from_iterable(one[table.name] for one in made)

    def _of(self, city: City) -> dict[str, Iterable[Values]]:
        feedback_ids = list(self._ids(len(city.reports)))
        hooks = list(self._hooks(city))
        return {
            "feedbacks": (self._model.feedback_of(city.id, one) for one in feedback_ids),
            "reports": (self._model.report_of(city.id, *pair) for pair in zip(feedback_ids, city.reports, strict=True)),
            "endpoints": [endpoint for endpoint, _ in hooks],
            "webhooks": [webhook for _, webhook in hooks],
            "events": self._log(city),
        }

    def _hooks(self, city: City) -> Iterator[tuple[Values, Values]]:
        plan, number = self._plan, self.cities.index(city)
        end = self._events(city)
        wanted = [(f"{number}/{n}", EVENT, 0 if plan.waiting else end) for n in range(plan.webhooks)]
        wanted += [(f"{number}/silent/{n}", SILENT, 0) for n in range(plan.silent)]
        ids = self._ids(len(wanted))
        urls = [(f"{self._receiver}/{path}", event, at, next(ids)) for path, event, at in wanted]
        if city.dead is not None and plan.dead is not None:
            urls.append((plan.dead, EVENT, 0, city.dead))
        for endpoint_id, (url, event, at, webhook_id) in zip(self._ids(len(urls)), urls, strict=True):
            endpoint = self._model.endpoint_of(city.id, endpoint_id, url)
            webhook = self._model.webhook_of(self._context, city.id, endpoint_id, webhook_id, url, event, at)
            yield endpoint, webhook

    def _log(self, city: City) -> Iterator[Values]:
        resources = list(self._ids(RESOURCES))
        for ordinal, event_id in enumerate(self._ids(self._events(city)), start=1):
            yield self._model.event_of(city.id, ordinal, event_id, resources[ordinal % RESOURCES], ordinal)

    async def set_heads(self, tx: Writing) -> None:
        """Where the logs end; ahead where a worker has something to notice."""
        for city in self.cities:
            count = self._events(city)
            if count:
                ahead = self._plan.waiting or city.dead is not None
                await tx.execute(update(logs).where(logs.c.organization_id == city.id).values(sequence=count))
                head = update(heads).where(heads.c.organization_id == city.id, heads.c.event == EVENT.value)
                await tx.execute(head.values(ordinal=count, ahead=ahead))


async def write(url: str, table: Table, rows: Iterable[Values]) -> None:
    """Put rows in, fast and not durable: whoever fills can fill again."""
    found = iter(rows)
    first = next(found, None)
    if first is None:
        return
    records = (tuple(row.values()) for row in chain([first], found))
    if is_sqlite(url):
        _write_sqlite(connect(sqlite_path(url)), table.name, list(first), records)
        return
    connection = await asyncpg.connect(url, server_settings={"synchronous_commit": "off"})
    try:
        await connection.copy_records_to_table(table.name, records=records, columns=list(first))
    finally:
        await connection.close()


def _write_sqlite(
    connection: sqlite3.Connection, name: str, columns: Sequence[str], records: Iterable[tuple[Any, ...]]
) -> None:
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN IMMEDIATE")
    places = ", ".join("?" * len(columns))
    listed = ", ".join(f'"{column}"' for column in columns)
    connection.executemany(f"INSERT INTO {name} ({listed}) VALUES ({places})", records)  # noqa: S608 # names of ours
    connection.execute("COMMIT")
    connection.close()

"""Databases filled as a benchmark wants them: organizations, webhooks and logs, as the use cases that the API calls
make them (`bulk.py`); copied for each round, so that rounds begin alike.

Every event is a real notification of a report's change. On PostgreSQL the cluster is the benchmark's own, with its
default durability (fsync, synchronous_commit and full_page_writes on).
"""

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.conftest import KEY
from tests.postgres import TEMPLATE, Cluster, cluster, execute, make_template
from tests.processes import Installation

from benchmarks import bulk
from benchmarks.bulk import Plan
from tocsin import app
from tocsin.api.examples import EXAMPLES
from tocsin.delivery.request import Recipient, fixed_head
from tocsin.delivery.request import head as rendered
from tocsin.delivery.signing import signer
from tocsin.delivery.target import parse
from tocsin.domain.events import Event
from tocsin.domain.ids import uuid7
from tocsin.domain.page import Paging
from tocsin.domain.wanted import OrganizationsWanted
from tocsin.hal.encoding import encode
from tocsin.hal.notification import notification
from tocsin.service.caller import OPERATOR
from tocsin.settings import load
from tocsin.storage.records import LoggedEvent, NewEvent

SQLITE: Final = "SQLite"
POSTGRESQL: Final = "PostgreSQL"
ORGANIZATIONS: Final = 100
EVENT: Final = Event.REPORT_STATE_CHANGED
REPORT_ID: Final = str(EXAMPLES["Report"][1]["id"])
BODY: Final = notification(EVENT, encode(EXAMPLES["Report"][1]))
SERVER: Final = {"shared_buffers": "512MB", "max_wal_size": "4GB", "checkpoint_timeout": "30min"}
"""What an operator would set; nothing that gives up durability."""


@dataclass(frozen=True)
class Shape:
    """Of a database: how many organizations, webhooks of each, and events in the log of each."""

    webhooks: int
    events: int
    organizations: int = ORGANIZATIONS

    @property
    def deliveries(self) -> int:
        return self.organizations * self.webhooks * self.events


@dataclass
class Databases:
    """Filled ones, kept to be copied."""

    directory: Path
    server: Cluster
    _kept: dict[str, str] = field(default_factory=dict)
    _count: int = 0

    @property
    def server_process(self) -> int:
        """PostgreSQL's id."""
        return self.server.process.pid

    def fill(self, name: str, engine: str, shape: Shape, receiver: str) -> None:
        """Make and keep one; `receiver` is the URL that every webhook's begins with."""
        environment = self.new(engine)
        plan = Plan(shape.organizations, webhooks=shape.webhooks, events=shape.events, waiting=True)
        asyncio.run(bulk.fill(environment, plan, receiver))
        self._kept[name] = environment["TOCSIN_DATABASE_URL"]

    def new(self, engine: str) -> dict[str, str]:
        """The settings of an empty one."""
        self._count += 1
        if engine == SQLITE:
            return _settings(f"sqlite:///{self.directory}/{self._count}.db")
        name = f"kept{self._count}"
        execute(self.server.url("postgres"), f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return _settings(self.server.url(name))

    @contextlib.contextmanager
    def copy(self, name: str, directory: Path, **more: str) -> Iterator[Installation]:
        """An installation on a copy of a kept one; its processes and the copy end with it."""
        kept = self._kept[name]
        self._count += 1
        if kept.startswith("sqlite"):
            url = f"sqlite:///{directory}/copy{self._count}.db"
            shutil.copy(kept.removeprefix("sqlite:///"), url.removeprefix("sqlite:///"))
        else:
            copied = f"copy{self._count}"
            template = kept.partition("?")[0].rpartition("/")[2]
            execute(self.server.url("postgres"), f"CREATE DATABASE {copied} TEMPLATE {template}")
            execute(self.server.url("postgres"), "CHECKPOINT")
            url = self.server.url(copied)
        installation = Installation(directory, more={**_settings(url), **more})
        try:
            yield installation
        finally:
            installation.kill()
            if kept.startswith("sqlite"):
                for path in directory.glob(f"copy{self._count}.db*"):
                    path.unlink()
            else:
                execute(self.server.url("postgres"), f"DROP DATABASE {copied} WITH (FORCE)")


@contextlib.contextmanager
def databases(directory: Path) -> Iterator[Databases]:
    with cluster(**SERVER) as server:
        make_template(server)
        yield Databases(directory, server)


def _settings(url: str) -> dict[str, str]:
    return {"TOCSIN_DATABASE_URL": url, "TOCSIN_SECRET_KEY": KEY, "TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8,::1/128"}


@contextlib.contextmanager
def appending(installation: Installation) -> Iterator[Callable[[int], None]]:
    """A function that puts that many events into every organization's log, in one transaction."""
    settings = load(installation.more)
    with asyncio.Runner() as runner:
        opened = app.open_use_cases(settings, "https://tocsin.example.org")
        use_cases = runner.run(opened.__aenter__())
        page = runner.run(use_cases.organizations.page(OPERATOR, OrganizationsWanted(), {}, Paging(limit=10_000)))

        def append(count: int) -> None:
            context = use_cases.context
            events = [_event(one.id, context.new_id(), context.new_id()) for one in page.items for _ in range(count)]
            runner.run(context.storage.write(lambda tx: tx.append(events)))

        try:
            yield append
        finally:
            runner.run(opened.__aexit__(None, None, None))


def _event(organization_id: str, resource_id: str, event_id: str) -> NewEvent:
    body = BODY.replace(REPORT_ID.encode(), resource_id.encode())
    return NewEvent(organization_id, EVENT, event_id, resource_id, body)


def head(receiver: str) -> Sequence[tuple[str, str]]:
    """The header lines of a notification, for a client that always sends the same."""
    some_id = uuid7(1_700_000_000_000_000, bytes(10))
    webhook = Recipient(parse(receiver), fixed_head(some_id, {}), (signer("v1", bytes(32)),))
    event = LoggedEvent(some_id, 123_456, EVENT.value, 12_345, some_id, some_id, 0, BODY)
    lines = rendered(webhook, event, 1_700_000_000_000_000).decode().splitlines()
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]

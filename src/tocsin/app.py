"""Puts the parts together: the only module that chooses implementations."""

import asyncio
import os
import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from argon2 import PasswordHasher

from tocsin.clock import Clock, SystemClock
from tocsin.delivery.connection import Limits
from tocsin.delivery.outcome import Outcome
from tocsin.delivery.policy import Policy
from tocsin.delivery.resolver import SystemResolver
from tocsin.delivery.sender import Sender
from tocsin.delivery.target import Target
from tocsin.delivery.worker import Worker
from tocsin.hal import Hal
from tocsin.key import existing_key, key_file, load_key
from tocsin.mail import server
from tocsin.mail.folder import Folder
from tocsin.mail.smtp import Smtp
from tocsin.mail.transport import Transport
from tocsin.service.context import Context
from tocsin.service.diagnosis import Diagnosis, Patient
from tocsin.service.housekeeping import Retention
from tocsin.service.pictures import Pictures
from tocsin.service.sessions import new_key
from tocsin.service.use_cases import UseCases
from tocsin.service.vault import Vault
from tocsin.settings import Settings, SettingsError
from tocsin.storage import postgres_examination, sqlite_examination
from tocsin.storage.diagnosis import Examination
from tocsin.storage.interface import Storage
from tocsin.storage.migrate import is_sqlite, pending, sqlite_path
from tocsin.storage.owners import Nameless, Owner
from tocsin.storage.postgres import DatabaseClock, PostgresStorage
from tocsin.storage.sqlite import SqliteStorage

if TYPE_CHECKING:
    from fastapi import FastAPI

MAIL_DIRECTORY: Final = "mails"


def open_clock(settings: Settings, clock: Clock | None) -> Clock:
    """What everything goes by: on PostgreSQL the database's clock, unless a test brings one that stands still."""
    local = clock or SystemClock()
    return DatabaseClock(local) if isinstance(local, SystemClock) and not is_sqlite(settings.database_url) else local


def open_storage(settings: Settings, clock: Clock) -> Storage:
    """The engine that the URL names; leases go by `clock`."""
    if is_sqlite(settings.database_url):
        return SqliteStorage(sqlite_path(settings.database_url), clock)
    return PostgresStorage(settings.database_url, clock)


def open_owner(settings: Settings) -> Owner | Nameless:
    """This process's name in leases."""
    return Owner(sqlite_path(settings.database_url)) if is_sqlite(settings.database_url) else Nameless()


class SenderPinger:
    """Pings through a sender as the worker has one: the same limits, the same vetting."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def post(self, target: Target, head: bytes, body: bytes) -> Outcome:
        told: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def tell(outcome: Outcome) -> None:
            if not told.cancelled():
                told.set_result(outcome)

        self._sender.post(target, head, body, tell)
        return await told


def open_vault(settings: Settings) -> Vault:
    """Raises SettingsError where the key is wrong or can't be read."""
    return Vault(load_key(settings), os.urandom)


@asynccontextmanager
async def open_use_cases(
    settings: Settings,
    public_url: str,
    clock: Clock | None = None,
    password_hasher: PasswordHasher | None = None,
    make_key: Callable[[], bytes] = new_key,
) -> AsyncIterator[UseCases]:
    """The use cases over an open, migrated database; closed at the end."""
    the_clock = open_clock(settings, clock)
    storage = open_storage(settings, the_clock)
    resolver = SystemResolver()
    pictures = Pictures()
    sender = open_sender(settings)
    try:
        context = Context(
            storage=storage,
            hal=Hal(public_url),
            clock=the_clock,
            entropy=secrets.token_bytes,
            vault=open_vault(settings),
            open_organizations=settings.organizations == "open",
            allowed_networks=settings.allow_networks,
            trusted_proxies=settings.trusted_proxies,
            rate_limits=settings.rate_limits == "on",
            password_hasher=password_hasher,
            make_key=make_key,
            pictures=pictures,
        )
        retention = Retention(settings.retention_days, settings.retention_max_days)
        pinger, transport = SenderPinger(sender), open_transport(settings)
        use_cases = UseCases(context, resolver, pinger, retention, transport, settings.mail_from)
        await use_cases.authentication.open()
        await use_cases.directory.seed()
        yield use_cases
    finally:
        pictures.close()
        resolver.close()
        await sender.close()
        await storage.close()


@asynccontextmanager
async def open_diagnosis(settings: Settings) -> AsyncIterator[Diagnosis]:
    """Looks at an installation as it is: makes no database, no key and no migration."""
    clock, resolver = SystemClock(), SystemResolver()
    database_url = settings.database_url
    file = sqlite_path(database_url) if is_sqlite(database_url) else None

    def examining() -> AbstractAsyncContextManager[Examination]:
        return (
            postgres_examination.examining(database_url, clock) if file is None else sqlite_examination.examining(file)
        )

    def open_existing_vault() -> Vault:
        try:
            return Vault(existing_key(settings), os.urandom)
        except SettingsError as error:
            raise ValueError(str(error)) from None

    patient = Patient(
        examining=examining,
        lacks_migrations=partial(pending, database_url),
        open_vault=open_existing_vault,
        key_file=None if file is None or settings.secret_key is not None else key_file(file),
        database_file=file,
        public_url=settings.public_url,
        resolver=resolver,
        clock=clock,
    )
    try:
        yield Diagnosis(patient)
    finally:
        resolver.close()


def open_transport(settings: Settings) -> Transport:
    """What mails leave by: SMTP, or a folder beside the database (where that is a server: in the working directory)."""
    if settings.smtp_url is not None:
        return Smtp(server.parse(settings.smtp_url), settings.mail_from, settings.ca_file)
    beside = sqlite_path(settings.database_url).parent if is_sqlite(settings.database_url) else Path()
    return Folder(settings.mail_directory or beside / MAIL_DIRECTORY)


def open_sender(settings: Settings) -> Sender:
    limits = Limits(attempt_timeout_seconds=settings.attempt_timeout)
    return Sender(limits, allowed=settings.allow_networks, ca_file=settings.ca_file)


async def run_worker(settings: Settings, use_cases: UseCases, stop: asyncio.Event) -> None:
    """Deliver, mail and keep house until `stop` is set; returns within 10 s after that, with every lease given back."""
    owner = open_owner(settings)
    context = use_cases.context
    storage = context.storage
    sender = open_sender(settings)
    tasks = (storage.watch(), use_cases.housekeeping.run(), use_cases.mails.run())
    beside = [asyncio.create_task(task) for task in tasks]
    worker = Worker(
        storage,
        sender,
        context.vault,
        policy=Policy(retry_schedule_seconds=settings.retry_schedule),
        clock=context.clock,
        owner=owner.name,
        concurrency=settings.worker_concurrency,
        chance=lambda: random.uniform(-1, 1),  # noqa: S311 # jitter, not a secret
        metrics=use_cases.watch.metrics,
    )
    try:
        await storage.end_leases(owner.dead())
        await worker.run(stop)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await sender.close()
        owner.release()


def api(use_cases: UseCases) -> "FastAPI":
    from tocsin.api.application import create_application  # noqa: PLC0415 # takes long: commands don't wait for it

    return create_application(use_cases)

"""Puts the parts together: the only module that chooses implementations."""

import asyncio
import os
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from argon2 import PasswordHasher
from fastapi import FastAPI

from tocsin.api.application import create_application
from tocsin.clock import Clock, SystemClock
from tocsin.delivery.connection import Limits
from tocsin.delivery.outcome import Outcome
from tocsin.delivery.policy import Policy
from tocsin.delivery.resolver import SystemResolver
from tocsin.delivery.sender import Sender
from tocsin.delivery.target import Target
from tocsin.delivery.worker import Worker
from tocsin.hal import Hal
from tocsin.key import load_key
from tocsin.service.context import Context
from tocsin.service.housekeeping import Retention
from tocsin.service.use_cases import UseCases
from tocsin.service.vault import Vault
from tocsin.settings import Settings
from tocsin.storage.interface import Storage
from tocsin.storage.migrate import is_sqlite, sqlite_path
from tocsin.storage.owners import Nameless, Owner
from tocsin.storage.postgres import DatabaseClock, PostgresStorage
from tocsin.storage.sqlite import SqliteStorage


def open_storage(settings: Settings, clock: Clock) -> Storage:
    """The engine that the URL names. On PostgreSQL leases go by the database's clock, unless a test brings its own."""
    if is_sqlite(settings.database_url):
        return SqliteStorage(sqlite_path(settings.database_url), clock)
    database_clock = DatabaseClock(clock) if isinstance(clock, SystemClock) else clock
    return PostgresStorage(settings.database_url, database_clock)


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
    settings: Settings, public_url: str, clock: Clock | None = None, password_hasher: PasswordHasher | None = None
) -> AsyncIterator[UseCases]:
    """The use cases over an open, migrated database; closed at the end."""
    the_clock = clock or SystemClock()
    storage = open_storage(settings, the_clock)
    resolver = SystemResolver()
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
        )
        retention = Retention(settings.retention_days, settings.retention_max_days)
        use_cases = UseCases(context, resolver, SenderPinger(sender), retention)
        await use_cases.authentication.open()
        await use_cases.directory.seed()
        yield use_cases
    finally:
        resolver.close()
        await sender.close()
        await storage.close()


def open_sender(settings: Settings) -> Sender:
    limits = Limits(attempt_timeout_seconds=settings.attempt_timeout)
    return Sender(limits, allowed=settings.allow_networks, ca_file=settings.ca_file)


async def run_worker(settings: Settings, use_cases: UseCases, stop: asyncio.Event) -> None:
    """Deliver, and keep house, until `stop` is set; returns within 10 s after that, with every lease given back."""
    owner = open_owner(settings)
    context = use_cases.context
    storage = context.storage
    sender = open_sender(settings)
    beside = [asyncio.create_task(storage.watch()), asyncio.create_task(use_cases.housekeeping.run())]
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


def api(use_cases: UseCases) -> FastAPI:
    return create_application(use_cases)

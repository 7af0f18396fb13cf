"""Bring a database's schema up to date: forward only, one process at a time."""

import asyncio
import contextlib
import fcntl
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from tocsin.domain.errors import Unavailable
from tocsin.storage import indexes

T = TypeVar("T")

UNREACHABLE: Final = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.TooManyConnectionsError,
)
"""What connecting fails with: nobody there, not now, not us, no such database, no place."""
NOT_ALLOWED: Final = "42501"
"""PostgreSQL's insufficient_privilege."""
CONNECT_SECONDS: Final = 5.0
"""For one host; a URL may name several."""
ADVISORY_LOCK: Final = 0x746F6373696E
"""Of PostgreSQL, while migrations run: the bytes of `tocsin`."""


def configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def is_sqlite(database_url: str) -> bool:
    return database_url.startswith("sqlite:")


def sqlite_path(database_url: str) -> Path:
    """The file that a `sqlite:///` URL names: relative to the working directory, or absolute with four slashes."""
    database = make_url(database_url).database
    assert database, "settings refuse a URL without a file"
    return Path(database)


def migrate(database_url: str) -> None:
    """Run the migrations that the database lacks. Waits for another process that does the same.

    Raises Unavailable where the database can't be reached.
    """
    if is_sqlite(database_url):
        with _alone(sqlite_path(database_url)), _connection(database_url) as connection:
            connection.execute(text("PRAGMA journal_mode = WAL"))
            _upgrade(connection)
            indexes.build_at_once(connection)
    else:
        on_postgres(database_url, _upgrade_alone)
        on_postgres(database_url, indexes.build, committing=True)


def pending(database_url: str) -> bool:
    """Whether the database lacks a migration (or is not there)."""
    if not is_sqlite(database_url):
        return on_postgres(database_url, _lacks)
    if not sqlite_path(database_url).exists():
        return True
    with _connection(database_url) as connection:
        return _lacks(connection)


def _upgrade(connection: Connection) -> None:
    if not _lacks(connection):
        return
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _upgrade_alone(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    _upgrade(connection)


def _lacks(connection: Connection) -> bool:
    """Not where a newer node has brought it further than we know: migrations only add what an older node can ignore."""
    current = MigrationContext.configure(connection).get_current_revision()
    known = [one.revision for one in ScriptDirectory.from_config(configuration()).walk_revisions()]
    return current is None or current in known[1:]


@contextlib.contextmanager
def _connection(database_url: str) -> Iterator[Connection]:
    engine = create_engine(database_url)
    event.listen(engine, "connect", _durable)
    try:
        with engine.begin() as connection:
            yield connection
    except OperationalError as error:
        raise Unavailable(f"The database can't be used: {error.orig}", retry_after_seconds=1) from error
    finally:
        engine.dispose()


def _durable(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA synchronous = FULL")


def on_postgres(database_url: str, work: Callable[[Connection], T], *, committing: bool = False) -> T:
    """Run `work` in one transaction, over the driver that serves everything else; from any thread, loop or none.

    The driver alone reads the URL, here as there: several hosts, `sslmode`, whatever it knows. `committing`: in no
    transaction, each statement by itself.
    """

    async def run() -> T:
        opened = await asyncpg.connect(database_url, timeout=CONNECT_SECONDS)

        async def hand_over() -> Any:
            return opened

        level = {"isolation_level": "AUTOCOMMIT"} if committing else {}
        engine = create_async_engine("postgresql+asyncpg://", poolclass=NullPool, async_creator=hand_over, **level)
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(work)
        finally:
            await engine.dispose()

    results: list[Any] = []

    def in_a_loop_of_its_own() -> None:
        try:
            results.append(asyncio.run(run()))
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=in_a_loop_of_its_own)
    thread.start()
    thread.join()
    if isinstance(results[0], UNREACHABLE):
        raise Unavailable(f"The database can't be reached: {results[0]}", retry_after_seconds=1) from results[0]
    if isinstance(results[0], DBAPIError) and getattr(results[0].orig, "sqlstate", None) == NOT_ALLOWED:
        raise Unavailable(f"The database refuses: {results[0].orig}", retry_after_seconds=1) from results[0]
    if isinstance(results[0], BaseException):
        raise results[0]
    found: T = results[0]
    return found


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """A lock of the file system beside the database: it ends with its process, however that dies."""
    lock = path.with_name(path.name + "-migrate.lock")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)

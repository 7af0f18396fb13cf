"""Bring a database's schema up to date: forward only, one process at a time."""

import contextlib
import fcntl
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event, make_url, text
from sqlalchemy.pool import ConnectionPoolEntry


def configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def sqlite_path(database_url: str) -> Path:
    """The file that a `sqlite:///` URL names: relative to the working directory, or absolute with four slashes."""
    database = make_url(database_url).database
    assert database, "settings refuse a URL without a file"
    return Path(database)


def migrate(database_url: str) -> None:
    """Run the migrations that the database lacks. Waits for another process that does the same."""
    path = sqlite_path(database_url)
    with _alone(path), _connection(database_url) as connection:
        connection.execute(text("PRAGMA journal_mode = WAL"))
        config = configuration()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def pending(database_url: str) -> bool:
    """Whether the database lacks a migration (or is not there)."""
    if not sqlite_path(database_url).exists():
        return True
    with _connection(database_url) as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    return current != ScriptDirectory.from_config(configuration()).get_current_head()


@contextlib.contextmanager
def _connection(database_url: str) -> Iterator[Connection]:
    engine = create_engine(database_url)
    event.listen(engine, "connect", _durable)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _durable(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA synchronous = FULL")


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

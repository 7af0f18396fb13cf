"""What only SQLite has: files, their locks, and how commits reach the disk."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from tests.conftest import Service
from tocsin.storage.migrate import migrate, pending
from tocsin.storage.owners import Owner
from tocsin.storage.schema import metadata
from tocsin.storage.sqlite import connect

pytestmark = pytest.mark.anyio


async def test_every_connection_syncs_each_commit(tmp_path: Path) -> None:
    for read_only in (False, True):
        connection = connect(tmp_path / "a.db", read_only=read_only)
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        connection.close()


async def test_the_writing_connection_of_a_running_service_syncs(service: Service) -> None:
    storage: Any = service.use_cases.context.storage

    def synchronous(connection: sqlite3.Connection) -> int:
        return int(connection.execute("PRAGMA synchronous").fetchone()[0])

    assert await storage._writer.call(synchronous) == 2


def test_the_migrations_make_what_the_schema_says(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tocsin.db"
    assert pending(url)
    migrate(url)
    migrate(url)
    assert not pending(url)
    engine = create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_a_dead_process_is_told_by_its_lock(tmp_path: Path) -> None:
    database = tmp_path / "tocsin.db"
    first, second = Owner(database), Owner(database)
    assert first.name != second.name
    assert first.name not in second.dead()
    assert second.name in second.dead()
    first.release()
    assert first.name in second.dead()
    third = Owner(database)
    assert third.name == first.name
    second.release()
    third.release()
    assert list(tmp_path.glob("*.lock")) == []

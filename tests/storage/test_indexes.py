"""Indexes of lists: there after every migration, built beside writing, and walked by the lists."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, text

from tests.api.client import city, person
from tests.api.test_statements import add, list_routes
from tests.conftest import Service
from tests.postgres import Cluster, database, execute
from tocsin.storage import sqlite
from tocsin.storage.indexes import REPLACED, listings
from tocsin.storage.migrate import migrate, on_postgres
from tocsin.storage.sqlite import SqliteReading

pytestmark = pytest.mark.anyio

VALID = "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indisvalid"
LONG = ("reports", "feedbacks", "operations")


def valid(connection: Connection) -> set[str]:
    return set(connection.execute(text(VALID)).scalars())


def names() -> set[str]:
    return {str(index.name) for index in listings()}


def test_what_is_missing_or_half_built_is_built_on_postgresql(postgres: Cluster) -> None:
    with database(postgres) as url:
        assert names() <= on_postgres(url, valid)
        assert not set(REPLACED) & on_postgres(url, valid)
        execute(url, "DROP INDEX ix_reports_list")
        execute(url, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_reports_cell'::regclass")
        assert names() - on_postgres(url, valid) == {"ix_reports_list", "ix_reports_cell"}
        both = [threading.Thread(target=migrate, args=(url,)) for _ in range(2)]
        for one in both:
            one.start()
        for one in both:
            one.join()
        assert names() <= on_postgres(url, valid)


def test_what_is_missing_is_built_on_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tocsin.db"
    migrate(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_reports_list"))
        connection.execute(text("CREATE INDEX ix_reports_organization_id_updated_at ON reports (updated_at)"))
    migrate(url)
    with engine.connect() as connection:
        there = set(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'index'")).scalars())
    engine.dispose()
    assert names() <= there
    assert not set(REPLACED) & there


async def test_no_list_reads_a_long_table_whole(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite keeps no statistics, so that what it does here it does with a million rows."""
    there = await city(await person(service.http))
    ids = {"organization": there.id, **await add(service, there, 1)}
    plans: dict[str, list[str]] = {}
    asked: list[str] = []
    rows = SqliteReading.rows

    async def explained(self: Any, query: Any, **parameters: Any) -> Any:
        statement, arguments = sqlite._compiled(query, parameters)
        explain = f"EXPLAIN QUERY PLAN {statement}"
        plan = await self._channel.call(sqlite._rows, self._begin, explain, arguments)
        plans.setdefault(asked[-1], []).extend(row["detail"] for row in plan)
        return await rows(self, query, **parameters)

    monkeypatch.setattr(SqliteReading, "rows", explained)
    private = "visibility[]=VISIBILITY_PRIVATE&visibility[]=VISIBILITY_PUBLIC"
    queries = (
        "",
        "state=NEW",
        "search[description]=x",
        f"{private}&geo_near=44.5-0.5+100",
        "updatedAfter=2018-01-01T00:00:00Z",
    )
    for path in await list_routes(service):
        for query in queries:
            asked.append(f"{path.format_map(ids)}?{query}" if path != "/feedbacks" or "NEW" not in query else path)
            await there.admin.get(asked[-1])
    asked.append(f"/feedbacks?{private}&organization={there.id}")
    await there.admin.get(asked[-1])
    whole = {
        path: [step for step in plan if re.match(rf"SCAN ({'|'.join(LONG)})\b", step)] for path, plan in plans.items()
    }
    allowed = re.compile(r"SCAN feedbacks USING (COVERING )?INDEX ix_feedbacks_(public|created_at)")
    assert {path: steps for path, steps in whole.items() if not all(map(allowed.match, steps))} == {}
    assert any("ix_reports_list" in step for plan in plans.values() for step in plan)

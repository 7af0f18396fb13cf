"""docs/operations.md: its commands, run as they stand there, do what it says; what it names is there."""

import asyncio
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.api.client import City, city, person
from tests.conftest import KEY, both_engines, delivering, serving, settings_in
from tests.postgres import Cluster, binaries, database, execute
from tests.processes import Installation
from tests.receiver import Receiver, receiver
from tocsin import app
from tocsin.clock import SystemClock
from tocsin.domain.diagnosis import Severity
from tocsin.metrics import Metrics
from tocsin.storage.migrate import migrate, pending

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def block(heading: str, number: int) -> str:
    """The commands of a section's block, the first being 0."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n{heading}\n")[2]
    section = re.split(r"^#+ ", section, maxsplit=1, flags=re.MULTILINE)[0]
    commands: str = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[number]
    return commands


def run(script: str, directory: Path, environment: dict[str, str]) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), str(binaries()), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=directory,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def ids(there: Receiver) -> list[tuple[str, str]]:
    return [(one.headers["tocsin-sequence"], one.headers["webhook-id"]) for one in there.received]


def judge(before: list[tuple[str, str]], after: list[tuple[str, str]]) -> None:
    """Before: three of the backup, two that are lost. After: those three again, and a new fourth."""
    assert [sequence for sequence, _ in before] == ["1", "2", "3", "4", "5"]
    assert after[:3] == before[:3], "the same ids: who deduplicates by them notices nothing"
    assert after[3][0] == "4"
    assert after[3][1] not in [identity for _, identity in before], (
        "the number of one that is gone, with an id of its own"
    )


async def write_on(bordeaux: City, stop: asyncio.Event) -> int:
    """Change something that sends nothing, over and over; returns how often."""
    count = 0
    while not stop.is_set():
        count += 1
        await bordeaux.admin.patch(f"/organizations/{bordeaux.id}", {"description": str(count)})
    return count


def intact(file: Path) -> bool:
    connection = sqlite3.connect(file)
    try:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


async def test_sqlite_is_backed_up_while_it_runs_and_restored(tmp_path: Path) -> None:
    installation = Installation(tmp_path, more={"TOCSIN_ORGANIZATIONS": "open"})
    async with receiver() as there, httpx.AsyncClient(base_url=installation.url, timeout=30) as http:
        try:
            api = await installation.serve("--no-worker")
            bordeaux = await city(await person(http))
            await bordeaux.webhook("reportCreated", there.url)
            for _ in range(3):
                await bordeaux.report()
            stop = asyncio.Event()
            writing = asyncio.create_task(write_on(bordeaux, stop))
            await asyncio.to_thread(run, block("### SQLite", 0), tmp_path, installation.environment)
            stop.set()
            assert await writing > 1, "others write meanwhile"
            worker = installation.start("worker")
            await there.wait_for(3)
            for _ in range(2):
                await bordeaux.report()
            await there.wait_for(5)
            before = ids(there)
            for process in (api, worker):
                await installation.stop(process)
            there.received.clear()
            said = await asyncio.to_thread(run, block("### SQLite", 1), tmp_path, installation.environment)
            assert "severe" not in said
            assert intact(tmp_path / "tocsin.db")
            await installation.serve()
            await there.wait_for(3)
            await bordeaux.report()
            await there.wait_for(4)
            judge(before, ids(there))
        finally:
            installation.kill()


async def test_postgresql_is_dumped_while_it_runs_and_restored(tmp_path: Path, postgres: Cluster) -> None:
    environment = {"TOCSIN_SECRET_KEY": KEY, "HOME": str(tmp_path)}
    execute(postgres.url("postgres"), "CREATE DATABASE restored")
    with database(postgres) as url:
        async with receiver() as there:
            old = {"TOCSIN_DATABASE_URL": url, "TOCSIN_SECRET_KEY": KEY}
            async with serving(tmp_path, SystemClock(), **old) as running:
                bordeaux = await city(await person(running.http))
                await bordeaux.webhook("reportCreated", there.url)
                for _ in range(3):
                    await bordeaux.report()
                dump = block("### PostgreSQL", 0)
                await asyncio.to_thread(run, dump, tmp_path, {**environment, "TOCSIN_DATABASE_URL": url})
                async with delivering(running):
                    await there.wait_for(3)
                    for _ in range(2):
                        await bordeaux.report()
                    await there.wait_for(5)
            before = ids(there)
            there.received.clear()
            new = {**old, "TOCSIN_DATABASE_URL": postgres.url("restored")}
            restore = block("### PostgreSQL", 1)
            said = await asyncio.to_thread(run, restore, tmp_path, {**environment, **new})
            assert "severe" not in said
            async with serving(tmp_path, SystemClock(), **new) as running, delivering(running):
                await there.wait_for(3)
                bordeaux.admin.http = running.http
                await bordeaux.report()
                await there.wait_for(4)
            judge(before, ids(there))


@both_engines
async def test_an_older_node_starts_and_works_on_a_newer_schema(
    tmp_path: Path, settings_of_engine: dict[str, str]
) -> None:
    settings = settings_in(tmp_path, **settings_of_engine)
    migrate(settings.database_url)
    for statement in (
        "ALTER TABLE webhooks ADD COLUMN of_tomorrow TEXT",
        "CREATE TABLE of_tomorrow (id TEXT)",
        "UPDATE alembic_version SET version_num = 'of tomorrow'",
    ):
        change(settings.database_url, statement)
    assert not pending(settings.database_url)
    async with (
        serving(tmp_path, SystemClock(), **settings_of_engine) as older,
        receiver() as there,
        delivering(older),
    ):
        bordeaux = await city(await person(older.http))
        await bordeaux.webhook("reportCreated", there.url)
        await bordeaux.report()
        await there.wait_for(1)
    async with app.open_diagnosis(settings) as diagnosis:
        (said,) = [one for one in await diagnosis.run() if one.check == "migrations"]
    assert said.severity is Severity.WELL


def change(database_url: str, statement: str) -> None:
    if database_url.startswith("postgres"):
        execute(database_url, statement)
        return
    connection = sqlite3.connect(database_url.removeprefix("sqlite:///"))
    with connection:
        connection.execute(statement)
    connection.close()


def test_every_metric_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(tocsin_\w+?)(?:_total)?`", PAGE.read_text(encoding="utf-8")))
    assert len(named) > 5
    assert named <= {metric.name for metric in Metrics().registry.collect()}


def test_what_the_page_links_to_is_there() -> None:
    linked = re.findall(r"\]\(((?!http)[\w/.-]+)\)", PAGE.read_text(encoding="utf-8"))
    assert len(linked) > 1
    assert [path for path in linked if not (PAGE.parent / path).exists()] == []

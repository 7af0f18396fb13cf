"""What only PostgreSQL has: a server that may go away, and other machines that work on the same database."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from tests.api.client import city, person
from tests.conftest import KEY, delivering, serving
from tests.postgres import Cluster, binaries, cluster, database, make_template, server_user, start, stop
from tests.processes import Installation
from tests.receiver import receiver
from tocsin.clock import SECOND, SystemClock
from tocsin.domain.errors import Unavailable
from tocsin.storage.migrate import migrate, on_postgres, pending
from tocsin.storage.postgres_partitions import PREFIX
from tocsin.storage.schema import metadata

pytestmark = pytest.mark.anyio

BACK_SECONDS = 5.0
HOUR = 3600 * SECOND


@pytest.fixture
def own() -> Iterator[Cluster]:
    """A server for this test alone: it is stopped under way."""
    with cluster() as one:
        make_template(one)
        yield one


def settings(url: str) -> dict[str, str]:
    return {"TOCSIN_DATABASE_URL": url, "TOCSIN_SECRET_KEY": KEY}


def test_the_migrations_make_what_the_schema_says(postgres: Cluster) -> None:
    def differences(connection: Connection) -> list[object]:
        options = {"include_name": lambda name, kind, _: kind != "table" or not str(name).startswith(PREFIX)}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    with database(postgres) as url:
        assert not pending(url)
        migrate(url)
        assert on_postgres(url, differences) == []


async def test_commits_reach_the_disk(postgres: Cluster, tmp_path: Path) -> None:
    with database(postgres) as url:
        async with serving(tmp_path, SystemClock(), **settings(url)) as running:
            storage = running.use_cases.context.storage
            async with storage.connection() as connection:  # type: ignore[attr-defined] # of this engine only
                for name in ("fsync", "synchronous_commit", "full_page_writes"):
                    assert await connection.fetchval(f"SHOW {name}") == "on"


class SetClock(SystemClock):
    """A machine's clock that somebody sets."""

    ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead


async def test_the_clock_is_the_databases_whatever_a_machines_says(postgres: Cluster, tmp_path: Path) -> None:
    with database(postgres) as url:
        clock = SetClock()
        clock.ahead = -3 * HOUR
        async with serving(tmp_path, clock, **settings(url)) as running:
            context = running.use_cases.context
            for hours in (-3, 0, 5):
                clock.ahead = hours * HOUR
                for now in (context.clock.now(), await context.storage.now(), context.clock.now()):
                    assert abs(now - SystemClock().now()) < SECOND


async def test_a_lost_database_is_said_and_everything_goes_on_when_it_is_back(own: Cluster, tmp_path: Path) -> None:
    with database(own) as url:
        async with (
            serving(tmp_path, SystemClock(), **settings(url)) as running,
            receiver() as there,
            delivering(running),
        ):
            bordeaux = await city(await person(running.http))
            await bordeaux.webhook("reportCreated", there.url)
            await bordeaux.report()
            await there.wait_for(1)
            stop(own, signal.SIGQUIT)
            ready = await running.http.get("/health/ready")
            assert (ready.status_code, "Retry-After" in ready.headers) == (503, True)
            assert (await running.http.get("/health/live")).status_code == 200
            assert (await bordeaux.admin.call("GET", "/organizations")).status_code == 503
            (own.directory / "log").write_text("")
            own.process = (await asyncio.to_thread(start, binaries(), own.directory, server_user())).process
            async with asyncio.timeout(BACK_SECONDS):
                while (await running.http.get("/health/ready")).status_code != 200:
                    pass
            await bordeaux.report()
            await there.wait_for(2, BACK_SECONDS)
        assert [one.headers["tocsin-sequence"] for one in there.received] == ["1", "2"]


async def test_what_one_process_appends_another_delivers(postgres: Cluster, tmp_path: Path) -> None:
    with database(postgres) as url:
        async with (
            serving(tmp_path, SystemClock(), **settings(url)) as here,
            serving(tmp_path, SystemClock(), **settings(url)) as elsewhere,
            receiver() as there,
        ):
            bordeaux = await city(await person(here.http))
            await bordeaux.webhook("reportCreated", there.url)
            async with delivering(elsewhere):
                for number in range(3):
                    await bordeaux.report()
                    await there.wait_for(number + 1)


async def test_two_workers_deliver_each_event_once(postgres: Cluster, tmp_path: Path) -> None:
    with database(postgres) as url:
        async with (
            serving(tmp_path, SystemClock(), **settings(url)) as one,
            serving(tmp_path, SystemClock(), **settings(url)) as two,
            receiver() as there,
        ):
            bordeaux = await city(await person(one.http))
            for number in range(20):
                await bordeaux.webhook("reportCreated", f"{there.url}/{number}")
            async with delivering(one), delivering(two):
                for _ in range(10):
                    await bordeaux.report()
                received = await there.wait_for(200)
    for number in range(20):
        mine = [one.headers["tocsin-sequence"] for one in received if one.path == f"/{number}"]
        assert sorted(mine, key=int) == [str(sequence) for sequence in range(1, 11)]


def test_without_a_key_or_a_database_commands_say_so(tmp_path: Path, postgres: Cluster) -> None:
    installation = Installation(tmp_path)
    with database(postgres) as url:
        installation.more["TOCSIN_DATABASE_URL"] = url
        ended = installation.command("webhook", "list", "--organization", "x", check=False)
        assert (ended.returncode, "TOCSIN_SECRET_KEY must be set on PostgreSQL" in ended.stderr) == (2, True)
    installation.more |= {"TOCSIN_DATABASE_URL": "postgresql://x@127.0.0.1:1/x", "TOCSIN_SECRET_KEY": KEY}
    ended = installation.command("migrate", check=False)
    assert (ended.returncode, "The database can't be reached" in ended.stderr) == (1, True)


def test_a_database_that_is_not_there_is_said(postgres: Cluster) -> None:
    with pytest.raises(Unavailable, match=r'database "nothing" does not exist'):
        migrate(postgres.url("nothing"))


def test_the_url_may_say_whatever_the_driver_knows(postgres: Cluster) -> None:
    with database(postgres) as url:
        assert not pending(f"{url}&sslmode=prefer&target_session_attrs=primary")

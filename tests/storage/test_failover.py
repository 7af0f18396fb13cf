"""A synchronous standby takes over: what was acknowledged is there, and everything goes on by itself."""

import asyncio
import contextlib
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.client import city, person
from tests.conftest import KEY, delivering, serving
from tests.postgres import (
    SHORT,
    TEMPLATE,
    Cluster,
    binaries,
    cluster,
    execute,
    make_template,
    revive,
    server_user,
    start,
    stop,
)
from tests.receiver import receiver
from tests.storage.test_postgres import BACK_SECONDS
from tocsin import app
from tocsin.clock import SystemClock
from tocsin.domain.diagnosis import Severity

pytestmark = pytest.mark.anyio


@contextlib.contextmanager
def standby_of(primary: Cluster) -> Iterator[Cluster]:
    """A copy of it (it is stopped for that), which follows it from then on; commits wait for it."""
    directory = Path(tempfile.mkdtemp(prefix="tocsin-pg-", dir=SHORT))
    user = server_user()
    try:
        stop(primary)
        shutil.copytree(primary.data, directory / "data")
        (directory / "data" / "standby.signal").touch()
        if user is not None:
            for path in (directory, *directory.rglob("*")):
                shutil.chown(path, user)
        (directory / "data").chmod(0o700)
        primary.settings["synchronous_standby_names"] = "*"
        revive(primary)
        standby = start(binaries(), directory, user, primary_conninfo=f"host={primary.directory} user=tocsin")
        try:
            yield standby
        finally:
            stop(standby)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def test_a_standby_takes_over_and_nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    with cluster() as primary:
        make_template(primary)
        with standby_of(primary) as standby:
            hosts = f"host={primary.directory},{standby.directory}&port=5432,5432&target_session_attrs=primary"
            settings = {"TOCSIN_DATABASE_URL": f"postgresql://tocsin@/{TEMPLATE}?{hosts}", "TOCSIN_SECRET_KEY": KEY}
            async with (
                serving(tmp_path, SystemClock(), **settings) as running,
                receiver() as there,
                delivering(running),
            ):
                bordeaux = await city(await person(running.http))
                await bordeaux.webhook("reportCreated", there.url)
                await bordeaux.report()
                await there.wait_for(1)
                async with app.open_diagnosis(running.settings) as diagnosis:
                    (said,) = [one for one in await diagnosis.run() if one.check == "standby"]
                assert (said.severity, said.found) == (Severity.WELL, "Commits wait for a synchronous standby (*).")
                stop(primary, signal.SIGQUIT)
                execute(standby.url("postgres"), "SELECT pg_promote()")
                async with asyncio.timeout(BACK_SECONDS):
                    while (await running.http.get("/health/ready")).status_code != 200:
                        pass
                await bordeaux.report()
                await there.wait_for(2, BACK_SECONDS)
            assert [one.headers["tocsin-sequence"] for one in there.received] == ["1", "2"]

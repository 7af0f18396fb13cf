"""Processes really killed, frozen and ended, disks full, clocks set, the database killed, at random points under load:
what was acknowledged arrives, and nothing else does.

A few rounds here; TOCSIN_CRASH_SECONDS makes all of them together as long as one likes.
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import KEY
from tests.crash.disk import Disk, disk
from tests.crash.harm import Account, Setup, harmed
from tests.crash.load import CITIES, CLIENTS, Acknowledged, check, client, prepare, ready, settle_unsure
from tests.postgres import cluster_in, database, make_template
from tests.processes import Installation
from tests.receiver import Receiver, receiver

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
LONG = "TOCSIN_CRASH_SECONDS" in os.environ
SETUPS = 3
SECONDS = float(os.environ["TOCSIN_CRASH_SECONDS"]) / SETUPS if LONG else 10.0
"""Of one setup, with all that belongs to it."""
KINDS = ("killed", "ended", "frozen", "clock set", "disk full")
"""Of faults that every long run has done, with or without PostgreSQL."""
LOADED = 0.95
"""The part of a long run that is over when the load ends; then what waits is delivered."""
REPORTS_PER_SECOND = 30
CATCH_UP_SECONDS = 60
CALLS_MIN, FAULTS_MIN = 100, 3
"""A short run on a busy machine takes longer, until it has seen so much."""
PATIENCE_SECONDS = 60.0
READY_SECONDS = float(os.environ.get("TOCSIN_CRASH_READY_SECONDS", "5"))
"""From a fault's end, at most: a promise of long runs, on a machine that does nothing else."""
RETRY_SCHEDULE = "1,1,1,1,1,1,1,1,1,1"
DUPLICATES_MAX_PER_HARM = 20
"""What was in flight, and what had arrived and was not yet written."""
DUPLICATES_MAX = 0.05
"""In a long run, of what arrived."""
SETTINGS = {
    "TOCSIN_RETRY_SCHEDULE": RETRY_SCHEDULE,
    "TOCSIN_ORGANIZATIONS": "open",
    "TOCSIN_RATE_LIMITS": "off",
}


@contextlib.contextmanager
def small_disk(megabytes: float) -> Iterator[Disk]:
    """At a short path, as PostgreSQL's socket wants it."""
    parent = Path(tempfile.mkdtemp(prefix="crash-", dir="/tmp"))
    parent.chmod(0o755)
    try:
        with disk(parent / "disk", round(megabytes)) as made:
            yield made
    finally:
        shutil.rmtree(parent)


def installed(directory: Path, clocks: Path, **more: str) -> Installation:
    """Processes of it go by clocks that can be set."""
    more = {
        **SETTINGS,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]),
        **more,
    }
    return Installation(directory, more=more, module=("tests.crash.jumping", str(clocks)))


@pytest.mark.parametrize("together", [True, False], ids=["one process", "two processes"])
async def test_what_was_acknowledged_arrives_whatever_is_done_to_it(tmp_path: Path, together: bool) -> None:
    with small_disk(64 + 1.5 * SECONDS) as there:
        installation = installed(there.directory, tmp_path)
        serve = ("serve", "--port", str(installation.port))
        starts = (serve,) if together else ((*serve, "--no-worker"), ("worker",))
        await keeps_its_promises(Setup(installation, starts, there, tmp_path))


async def test_on_postgresql_also_when_the_database_is_killed(tmp_path: Path) -> None:
    with (
        small_disk(256 + 3 * SECONDS) as there,
        cluster_in(there.directory, max_wal_size="64MB", min_wal_size="32MB") as server,
    ):
        make_template(server)
        with database(server) as url:
            installation = installed(tmp_path, tmp_path, TOCSIN_DATABASE_URL=url, TOCSIN_SECRET_KEY=KEY)
            serve = ("serve", "--port", str(installation.port))
            starts = (serve, ("worker",), ("worker",))
            await keeps_its_promises(Setup(installation, starts, there, tmp_path, server))


async def keeps_its_promises(setup: Setup) -> None:
    installation, began = setup.installation, time.monotonic()
    async with receiver() as there:
        try:
            first = await installation.serve("--no-worker")
            known = await prepare(installation, there.url, reports=int(60 + REPORTS_PER_SECOND * SECONDS))
            assert (await installation.stop(first))[0] == 0
            seconds = SECONDS * LOADED - (time.monotonic() - began) if LONG else SECONDS
            stop = asyncio.Event()
            async with harmed(setup, seconds) as account:
                clients = [
                    asyncio.create_task(client(installation.url, known, number, stop)) for number in range(CLIENTS)
                ]
                seconds = await work(known, account, seconds)
                stop.set()
                await asyncio.gather(*clients)
            await ready(installation, CATCH_UP_SECONDS)
            await settle_unsure(installation, known)
            await caught_up(known, there)
            found = check(known, there)
        finally:
            installation.kill()
    judge(known, account, found, seconds)


async def work(known: Acknowledged, account: Account, seconds: float) -> float:
    """So long; returns how long it was."""
    began = time.monotonic()
    passed = 0.0
    while passed < seconds or (passed < PATIENCE_SECONDS and not enough(known, account)):
        await asyncio.sleep(min(0.2, max(seconds - passed, 0.05)))
        passed = time.monotonic() - began
    return passed


def enough(known: Acknowledged, account: Account) -> bool:
    return known.calls >= CALLS_MIN and account.done.total() >= FAULTS_MIN


async def caught_up(known: Acknowledged, there: Receiver) -> None:
    """Until nothing is missing any more, or it takes too long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CATCH_UP_SECONDS):
            while check(known, there)["lost"]:
                await there.wait_for(len(there.received) + 1, CATCH_UP_SECONDS)


def judge(known: Acknowledged, account: Account, found: dict[str, int], seconds: float) -> None:
    harms, times = account.done.total(), sorted(took for took, _ in account.ready)
    print(f"\n{known.calls} changes acknowledged, {dict(known.refused)} refused, {found}")
    print(f"{harms} faults in {seconds:.0f} s, one every {seconds / max(harms, 1):.1f} s: {dict(account.done)}")
    longest = ", ".join(f"{took:.2f} s ({after})" for took, after in account.worst())
    print(f"ready again after {times[len(times) // 2]:.2f} s (median), at most {longest}")
    assert known.calls >= CALLS_MIN
    assert any(states[-1] != "CLOSED" for states in known.states.values()), "there was load until the end"
    assert harms >= FAULTS_MIN
    assert {name: found[name] for name in ("lost", "invented", "reordered", "wrong bytes")} == {
        "lost": 0,
        "invented": 0,
        "reordered": 0,
        "wrong bytes": 0,
    }
    if LONG:
        assert set(account.done) >= set(KINDS), "each kind of fault"
        assert found["duplicates"] <= DUPLICATES_MAX * found["arrived"]
        assert times[-1] <= READY_SECONDS, f"not ready in time: {longest}"
    else:
        assert found["duplicates"] <= DUPLICATES_MAX_PER_HARM * harms


async def test_a_full_disk_refuses_changes_and_nothing_is_half_done(tmp_path: Path) -> None:
    with small_disk(32) as there:
        installation = installed(there.directory, tmp_path)
        async with receiver() as hook, httpx.AsyncClient(base_url=installation.url, timeout=30) as http:
            try:
                serving = await installation.serve()
                known = await prepare(installation, hook.url, reports=6)
                report, headers = next(iter(known.headers.items()))
                path = f"/reports/{report}"
                before = (await http.get(path, headers=headers)).json()
                there.fill([serving.pid])
                answers = [
                    await http.post(f"{path}/workflow/transition", json={"transition": "accept"}, headers=headers)
                    for _ in range(3)
                ]
                assert {(one.status_code, "Retry-After" in one.headers) for one in answers} == {(503, True)}
                assert (await http.get(path, headers=headers)).json() == before
                assert (await http.get("/health/live")).status_code == 200
                there.free([serving.pid])
                accepted = await http.post(
                    f"{path}/workflow/transition", json={"transition": "accept"}, headers=headers
                )
                assert (accepted.status_code, accepted.json()["state"]) == (200, "ACCEPTED")
                (received,) = await hook.wait_for(1)
                assert received.headers["tocsin-sequence"] == str(len(known.states) // CITIES + 1)
                assert serving.poll() is None, "it goes on by itself"
            finally:
                installation.kill()

"""Processes really killed, at random points under load: what was acknowledged arrives, and nothing else does.

A few rounds here; TOCSIN_CRASH_SECONDS makes it as long as one likes.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.client import INSIDE, PASSWORD, SQUARE
from tests.conftest import KEY
from tests.postgres import Cluster, cluster, database, make_template, restart
from tests.processes import Installation
from tests.receiver import Receiver, receiver

pytestmark = pytest.mark.anyio

SECONDS = float(os.environ.get("TOCSIN_CRASH_SECONDS", "12"))
CLIENTS = 4
LIFE_SECONDS = (1.0, 3.5)
"""Between a start and the next kill."""
CATCH_UP_SECONDS = 60
RETRY_SCHEDULE = "1,1,1,1,1,1,1,1,1,1"
DUPLICATES_MAX_PER_HARM = 20
"""What was in flight (10), and what had arrived and was not yet written."""


@dataclass
class Acknowledged:
    """What was answered with 2xx: the states that each report entered, in order; and who asks."""

    states: dict[str, list[str]] = field(default_factory=dict)
    unsure: dict[str, str] = field(default_factory=dict)
    """The state that an unanswered call may have entered."""
    headers: dict[str, str] = field(default_factory=dict)
    calls: int = 0


async def client(url: str, known: Acknowledged, number: int, stop: asyncio.Event) -> None:
    """Accepts and progresses its share of the reports, whatever happens to the service."""
    async with httpx.AsyncClient(base_url=url, headers=known.headers, timeout=5) as http:
        for report in list(known.states)[number::CLIENTS]:
            for transition, state in (("accept", "ACCEPTED"), ("progress", "IN_PROGRESS"), ("close", "CLOSED")):
                await step(http, known, report, transition, state, stop)
            if stop.is_set():
                return


async def step(
    http: httpx.AsyncClient, known: Acknowledged, report: str, transition: str, state: str, stop: asyncio.Event
) -> None:
    """Until it is answered: a call without an answer may have done it or not, and GET tells."""
    while not stop.is_set():
        try:
            found = await http.get(f"/reports/{report}")
            if found.status_code == 503:
                await asyncio.sleep(0.02)
                continue
            current = found.json()["state"]
            if current != known.states[report][-1]:
                assert current == known.unsure.get(report), "a state that nobody asked for"
                known.states[report].append(current)
                return
            known.unsure[report] = state
            answer = await http.post(f"/reports/{report}/workflow/transition", json={"transition": transition})
        except (httpx.TransportError, json.JSONDecodeError):
            await asyncio.sleep(0.02)
            continue
        if answer.status_code == 200:
            known.states[report].append(state)
            known.calls += 1
            return
        assert answer.status_code in (409, 503), answer.text


async def prepare(installation: Installation, hook: str, reports: int) -> Acknowledged:
    """A city with webhooks and many new reports; the webhooks hear of changes only."""
    made = await asyncio.to_thread(installation.organization)
    known = Acknowledged(headers={"Authorization": f"Bearer {made['token']}"})
    path = f"/organizations/{made['organization']}"
    async with httpx.AsyncClient(base_url=installation.url, timeout=30) as http:
        account = {"email": "ada@example.org", "password": PASSWORD}
        await http.post("/security/register", json=account)
        login = await http.post("/security/login", json={"login": account["email"], "password": PASSWORD})
        person = {"Authorization": f"Bearer {login.json()['accessToken']}"}
        place = {"name": "Centre", "polygon": SQUARE}
        (await http.post(f"{path}/places", json=place, headers=known.headers)).raise_for_status()
        for _ in range(reports):
            (await http.post("/feedbacks/issues", json={"geo": INSIDE}, headers=person)).raise_for_status()
        body = {"event": "reportStateChanged", "payloadUrl": hook}
        (await http.post(f"{path}/webhooks", json=body, headers=known.headers)).raise_for_status()
        total, number = 1, 1
        while len(known.states) < total:
            query = f"{path}/reports?limit=100&page={number}"
            page = (await http.get(query, headers=known.headers)).json()
            known.states |= {one["id"]: ["NEW"] for one in page["_embedded"]["items"]}
            total, number = page["total"], number + 1
    return known


def check(known: Acknowledged, there: Receiver) -> dict[str, int]:
    """An independent account: lost, invented, reordered, wrong bytes, duplicates."""
    seen: dict[str, list[str]] = {report: ["NEW"] for report in known.states}
    bodies: dict[str, bytes] = {}
    found = dict.fromkeys(("lost", "invented", "reordered", "wrong bytes", "duplicates", "arrived"), 0)
    for one in there.received:
        found["arrived"] += 1
        identity = one.headers["webhook-id"]
        if identity in bodies:
            found["duplicates"] += 1
            found["wrong bytes"] += bodies[identity] != one.body
            continue
        bodies[identity] = one.body
        payload = json.loads(one.body)["payload"]
        seen[payload["id"]].append(payload["state"])
    for report, states in known.states.items():
        found["lost"] += len([state for state in states if state not in seen[report]])
        found["invented"] += len([state for state in seen[report] if state not in states])
        order = [state for state in seen[report] if state in states]
        found["reordered"] += order != [state for state in states if state in seen[report]]
    return found


Harm = Callable[[], Coroutine[Any, Any, None]]


class Harmer:
    """Does harm to an installation, now and then; at the end everything runs."""

    def __init__(self, installation: Installation, starts: tuple[tuple[str, ...], ...], server: Cluster | None) -> None:
        self._installation = installation
        self._starts = starts
        self._server = server
        self._running: list[Any] = [installation.start(*arguments) for arguments in starts]
        self._chance = random.Random(os.environ.get("TOCSIN_CRASH_SEED", "4711"))
        self.done: Counter[str] = Counter()

    async def go_on(self, stop: asyncio.Event) -> None:
        harms: list[tuple[Harm, int]] = [(self._kill, 6)]
        if self._server is not None:
            harms += [(self._freeze, 3), (self._end, 2), (self._kill_database, 3)]
        while not stop.is_set():
            await asyncio.sleep(self._chance.uniform(*LIFE_SECONDS))
            harm = self._chance.choices([harm for harm, _ in harms], [weight for _, weight in harms])[0]
            await harm()
            self._revive()

    def _revive(self) -> None:
        """A process that found no database when it started has ended: whoever watches over it starts it again."""
        for number, process in enumerate(self._running):
            if process.poll() is not None:
                self._running[number] = self._installation.start(*self._starts[number])

    async def _kill(self) -> None:
        self.done["killed"] += 1
        victim = self._chance.choice(self._running)
        victim.kill()
        await asyncio.to_thread(victim.wait)

    async def _end(self) -> None:
        """SIGTERM."""
        self.done["ended"] += 1
        victim = self._chance.choice(self._running)
        victim.terminate()
        await asyncio.to_thread(victim.wait)

    async def _freeze(self) -> None:
        """SIGSTOP, and SIGCONT after a while; in a long run also longer than a lease."""
        self.done["frozen"] += 1
        victim = self._chance.choice(self._running)
        victim.send_signal(signal.SIGSTOP)
        await asyncio.sleep(self._chance.choice((0.5, 2.0, min(40.0, SECONDS / 6))))
        victim.send_signal(signal.SIGCONT)

    async def _kill_database(self) -> None:
        """`immediate`: as if its machine had lost power; then it recovers."""
        assert self._server is not None
        self.done["database killed"] += 1
        await asyncio.to_thread(restart, self._server)


@asynccontextmanager
async def harmed(
    installation: Installation, starts: tuple[tuple[str, ...], ...], server: Cluster | None = None
) -> AsyncIterator[Counter[str]]:
    """Yields what was done, and how often."""
    harmer, stop = Harmer(installation, starts, server), asyncio.Event()
    going = asyncio.create_task(harmer.go_on(stop))
    try:
        yield harmer.done
    finally:
        stop.set()
        await going


@pytest.mark.parametrize("together", [True, False], ids=["one process", "two processes"])
async def test_what_was_acknowledged_arrives_whatever_is_killed(tmp_path: Path, together: bool) -> None:
    installation = Installation(tmp_path, more={"TOCSIN_RETRY_SCHEDULE": RETRY_SCHEDULE})
    serve = ("serve", "--port", str(installation.port))
    await keeps_its_promises(installation, (serve,) if together else ((*serve, "--no-worker"), ("worker",)))


async def test_on_postgresql_also_when_processes_freeze_and_the_database_is_killed(tmp_path: Path) -> None:
    with cluster() as server:
        make_template(server)
        with database(server) as url:
            more = {"TOCSIN_DATABASE_URL": url, "TOCSIN_SECRET_KEY": KEY, "TOCSIN_RETRY_SCHEDULE": RETRY_SCHEDULE}
            installation = Installation(tmp_path, more=more)
            serve = ("serve", "--port", str(installation.port))
            await keeps_its_promises(installation, (serve, ("worker",), ("worker",)), server)


async def keeps_its_promises(
    installation: Installation, starts: tuple[tuple[str, ...], ...], server: Cluster | None = None
) -> None:
    async with receiver() as there:
        try:
            first = await installation.serve("--no-worker")
            known = await prepare(installation, there.url, reports=int(60 + 40 * SECONDS))
            assert (await installation.stop(first))[0] == 0
            stop = asyncio.Event()
            async with harmed(installation, starts, server) as harms:
                clients = [
                    asyncio.create_task(client(installation.url, known, number, stop)) for number in range(CLIENTS)
                ]
                await asyncio.sleep(SECONDS)
                stop.set()
                await asyncio.gather(*clients)
            await ready(installation)
            await settle_unsure(installation, known)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CATCH_UP_SECONDS):
                    while check(known, there)["lost"]:
                        await there.wait_for(len(there.received) + 1, CATCH_UP_SECONDS)
            found = check(known, there)
        finally:
            installation.kill()
    print(f"\n{known.calls} changes acknowledged, {dict(harms)}, {found}")
    assert known.calls > 20
    assert harms.total() > 2
    assert {name: found[name] for name in ("lost", "invented", "reordered", "wrong bytes")} == {
        "lost": 0,
        "invented": 0,
        "reordered": 0,
        "wrong bytes": 0,
    }
    assert found["duplicates"] <= DUPLICATES_MAX_PER_HARM * harms.total()


async def ready(installation: Installation) -> None:
    async with httpx.AsyncClient() as http, asyncio.timeout(CATCH_UP_SECONDS):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await http.get(f"{installation.url}/health/ready")).status_code == 200:
                    return
            await asyncio.sleep(0.05)


async def settle_unsure(installation: Installation, known: Acknowledged) -> None:
    """What was asked and not answered is in the database or not: GET tells which."""
    async with httpx.AsyncClient(base_url=installation.url, headers=known.headers, timeout=30) as http:
        for report in known.unsure:
            current = (await http.get(f"/reports/{report}")).json()["state"]
            if current != known.states[report][-1]:
                assert current == known.unsure[report]
                known.states[report].append(current)

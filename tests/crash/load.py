"""Clients of a service that is being harmed, and the independent account of what came of what they were told."""

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.api.client import PASSWORD
from tests.processes import Installation
from tests.receiver import Receiver

CLIENTS = 4
CITIES = 6
"""Each with a place and a webhook of its own."""
FILERS = 8
CALL_SECONDS = 5
PAUSE_SECONDS = 0.03
"""Of a client between two changes: so that the load lasts as long as the faults do."""
STEPS = (("accept", "ACCEPTED"), ("progress", "IN_PROGRESS"), ("close", "CLOSED"))
REFUSED = (409, 503)
"""What a call may be answered besides 200: it is done already, or not now."""


@dataclass
class Acknowledged:
    """What was answered with 2xx: the states that each report entered, in order; and who asks."""

    states: dict[str, list[str]] = field(default_factory=dict)
    unsure: dict[str, str] = field(default_factory=dict)
    """The state that an unanswered call may have entered."""
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    """Whose report it is."""
    calls: int = 0
    refused: Counter[int] = field(default_factory=Counter)


async def client(url: str, known: Acknowledged, number: int, stop: asyncio.Event) -> None:
    """Accepts, progresses and closes its share of the reports, whatever happens to the service."""
    async with httpx.AsyncClient(base_url=url, timeout=CALL_SECONDS) as http:
        for report in list(known.states)[number::CLIENTS]:
            for transition, state in STEPS:
                await step(http, known, report, transition, state, stop)
                await asyncio.sleep(PAUSE_SECONDS)
            if stop.is_set():
                return


async def step(
    http: httpx.AsyncClient, known: Acknowledged, report: str, transition: str, state: str, stop: asyncio.Event
) -> None:
    """Until it is answered: a call without an answer may have done it or not, and GET tells."""
    headers = known.headers[report]
    while not stop.is_set():
        try:
            if report in known.unsure:
                found = await http.get(f"/reports/{report}", headers=headers)
                if found.status_code == 503:
                    known.refused[503] += 1
                    await asyncio.sleep(0.02)
                    continue
                assert found.status_code == 200, found.text
                if took_place(known, report, found.json()["state"]):
                    return
            known.unsure[report] = state
            body = {"transition": transition}
            answer = await http.post(f"/reports/{report}/workflow/transition", json=body, headers=headers)
        except (httpx.TransportError, json.JSONDecodeError):
            await asyncio.sleep(0.02)
            continue
        if answer.status_code == 200:
            del known.unsure[report]
            known.states[report].append(state)
            known.calls += 1
            return
        assert answer.status_code in REFUSED, answer.text
        known.refused[answer.status_code] += 1
        await asyncio.sleep(0.02)


def took_place(known: Acknowledged, report: str, current: str) -> bool:
    """Whether what was asked, and not answered, has happened: then it is acknowledged now."""
    if current == known.states[report][-1]:
        return False
    assert current == known.unsure.pop(report), "a state that nobody asked for"
    known.states[report].append(current)
    return True


async def prepare(installation: Installation, hook: str, reports: int) -> Acknowledged:
    """Cities with a webhook each, and many new reports; the webhooks hear of changes only."""
    known = Acknowledged()
    async with httpx.AsyncClient(base_url=installation.url, timeout=30) as http:
        account = {"email": "ada@example.org", "password": PASSWORD}
        await http.post("/security/register", json=account)
        login = await http.post("/security/login", json={"login": account["email"], "password": PASSWORD})
        person = {"Authorization": f"Bearer {login.json()['accessToken']}"}
        cities = [await _city(http, person, number, f"{hook}/{number}") for number in range(CITIES)]
        left = iter(range(reports // CITIES * CITIES))

        async def file() -> None:
            for number in left:
                body = {"geo": {"point": {"latitude": 44.5, "longitude": number % CITIES + 0.5}}}
                (await http.post("/feedbacks/issues", json=body, headers=person)).raise_for_status()

        await asyncio.gather(*(file() for _ in range(FILERS)))
        found = [await _reports(http, *one) for one in cities]
    for of_cities in zip(*found, strict=True):
        for (_, headers), report in zip(cities, of_cities, strict=True):
            known.states[report] = ["NEW"]
            known.headers[report] = headers
    return known


async def _city(http: httpx.AsyncClient, person: dict[str, str], number: int, hook: str) -> tuple[str, dict[str, str]]:
    """Its path, and the header of a token of its own. The places lie beside each other, one degree wide."""
    ring = [[number, 44], [number + 1, 44], [number + 1, 45], [number, 45], [number, 44]]

    async def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await http.post(path, json=body, headers=person)
        assert answer.is_success, answer.text
        made: dict[str, Any] = answer.json()
        return made

    path = f"/organizations/{(await post('/organizations', {'name': 'Bordeaux'}))['id']}"
    await post(f"{path}/places", {"name": "Centre", "polygon": {"type": "Polygon", "coordinates": [ring]}})
    await post(f"{path}/webhooks", {"event": "reportStateChanged", "payloadUrl": hook})
    token = await post(f"{path}/tokens", {"name": "crash", "roles": ["ORGANIZATION:ADMIN"]})
    return path, {"Authorization": f"Bearer {token['token']}"}


async def _reports(http: httpx.AsyncClient, path: str, headers: dict[str, str]) -> list[str]:
    found: list[str] = []
    total, number = 1, 1
    while len(found) < total:
        page = (await http.get(f"{path}/reports?limit=100&page={number}", headers=headers)).json()
        found += [one["id"] for one in page["_embedded"]["items"]]
        total, number = page["total"], number + 1
    return found


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


async def ready(installation: Installation, seconds: float) -> float:
    """Wait until the service says that it is; returns how long that took. Raises TimeoutError."""
    began = time.monotonic()
    async with httpx.AsyncClient(timeout=1) as http, asyncio.timeout(seconds):
        is_ready = await _is_ready(http, installation)
        while not is_ready:
            await asyncio.sleep(0.05)
            is_ready = await _is_ready(http, installation)
    return time.monotonic() - began


async def _is_ready(http: httpx.AsyncClient, installation: Installation) -> bool:
    try:
        return (await http.get(f"{installation.url}/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


async def settle_unsure(installation: Installation, known: Acknowledged) -> None:
    """What was asked and not answered is in the database or not: GET tells which."""
    async with httpx.AsyncClient(base_url=installation.url, timeout=30) as http:
        for report in list(known.unsure):
            current = (await http.get(f"/reports/{report}", headers=known.headers[report])).json()["state"]
            took_place(known, report, current)

"""One city and its changes at a slow, even rate, for the benchmarks that look at what else happens meanwhile.

The load comes through HTTP from the process of the benchmark; each change is a report's transition.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
from tests.api.client import INSIDE, PASSWORD, SQUARE
from tests.processes import Installation

TRANSITIONS = ("accept", "hold", "progress", "close")


@dataclass
class Round:
    """Milliseconds of each change: how long its call took, and from its answer to its notification."""

    calls: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    answered: dict[tuple[str, str], float] = field(default_factory=dict)
    """When each (report, state) was answered."""


async def prepare(installation: Installation, hook: str, reports: int) -> tuple[dict[str, str], list[str]]:
    """A city with a webhook and new reports: its headers, and the reports' ids."""
    made = await asyncio.to_thread(installation.organization)
    headers = {"Authorization": f"Bearer {made['token']}"}
    path = f"/organizations/{made['organization']}"
    async with httpx.AsyncClient(base_url=installation.url, timeout=30) as http:
        account = {"email": "ada@example.org", "password": PASSWORD}
        (await http.post("/security/register", json=account)).raise_for_status()
        login = (await http.post("/security/login", json={"login": account["email"], "password": PASSWORD})).json()
        person = {"Authorization": f"Bearer {login['accessToken']}"}
        place = {"name": "Centre", "polygon": SQUARE}
        (await http.post(f"{path}/places", json=place, headers=headers)).raise_for_status()
        for _ in range(reports):
            (await http.post("/feedbacks/issues", json={"geo": INSIDE}, headers=person)).raise_for_status()
        body = {"event": "reportStateChanged", "payloadUrl": hook, "maxInFlight": 50}
        (await http.post(f"{path}/webhooks", json=body, headers=headers)).raise_for_status()
        ids: list[str] = []
        while len(ids) < reports:
            page = await http.get(f"{path}/reports?limit=100&page={len(ids) // 100 + 1}", headers=headers)
            ids += [one["id"] for one in page.json()["_embedded"]["items"]]
    return headers, ids


async def load(url: str, headers: dict[str, str], reports: Sequence[str], rate: float, count: int) -> Round:
    """Changes at an even rate; each is matched with its notification by report and state."""
    result = Round()
    loop = asyncio.get_running_loop()
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as http:

        async def change(number: int) -> None:
            report = reports[number % len(reports)]
            transition = TRANSITIONS[number // len(reports)]
            began = loop.time()
            answer = await http.post(f"/reports/{report}/workflow/transition", json={"transition": transition})
            answer.raise_for_status()
            result.answered[report, answer.json()["state"]] = loop.time()
            result.calls.append((loop.time() - began) * 1000)

        began, tasks = loop.time(), []
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
            tasks.append(asyncio.create_task(change(number)))
        await asyncio.gather(*tasks)
    return result

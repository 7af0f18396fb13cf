"""From the 2xx of a change to the receipt of its notification, on loopback, at a steady rate of changes.

Compares, round by round in the same run, worker and API in one process with the two as separate processes on one
SQLite file. The load comes through HTTP from this process, the receiver listens in it; each change is a report's
transition. Prints a table: medians over the rounds, with the range.

    python -m benchmarks.latency [--rate 50] [--seconds 10] [--rounds 3]
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

import httpx
import uvloop
from tests.api.client import INSIDE, PASSWORD, SQUARE
from tests.processes import Installation
from tests.receiver import receiver

SETUPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "one process": (("serve",),),
    "two processes": (("serve", "--no-worker"), ("worker",)),
}
TRANSITIONS = ("accept", "hold", "progress", "close")
WAIT_SECONDS = 30


@dataclass
class Round:
    """Milliseconds of each change: how long its call took, and from its answer to its notification."""

    calls: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    answered: dict[tuple[str, str], float] = field(default_factory=dict)
    """When each (report, state) was answered."""

    def percentile(self, percent: int) -> float:
        return quantiles(self.latencies, n=100, method="inclusive")[percent - 1]


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


async def one_round(setup: str, rate: float, seconds: float) -> Round:
    """A new database, its processes, and the load."""
    count = int(rate * seconds)
    async with receiver() as there:
        with tempfile.TemporaryDirectory() as directory:
            installation = Installation(Path(directory))
            try:
                first, *others = SETUPS[setup]
                await installation.serve(*first[1:])
                for other in others:
                    installation.start(*other)
                headers, reports = await prepare(installation, there.url, -(-count // len(TRANSITIONS)))
                result = await load(installation.url, headers, reports, rate, count)
                await there.wait_for(count, WAIT_SECONDS)
            finally:
                installation.kill()
    for one in there.received:
        payload = json.loads(one.body)["payload"]
        answered = result.answered[payload["id"], payload["state"]]
        result.latencies.append((one.at - answered) * 1000)
    return result


def table(rounds: dict[str, list[Round]], rate: float) -> str:
    """Medians over the rounds, and their range."""
    lines = [
        f"latency from the 2xx to the receipt, SQLite, {rate:g} changes a second, ms (median of rounds, range)",
        f"{'setup':<15} {'p50':>18} {'p95':>18} {'p99':>18} {'call p50':>18}",
    ]
    for setup, found in rounds.items():
        columns = [[one.percentile(percent) for one in found] for percent in (50, 95, 99)]
        columns.append([median(one.calls) for one in found])
        cells = [f"{median(values):.1f} ({min(values):.1f}-{max(values):.1f})" for values in columns]
        lines.append(f"{setup:<15} " + " ".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=50, help="changes a second")
    parser.add_argument("--seconds", type=float, default=10, help="of load in each round")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rounds: dict[str, list[Round]] = {setup: [] for setup in SETUPS}
    began = time.monotonic()
    for _ in range(arguments.rounds):
        for setup, found in rounds.items():
            found.append(uvloop.run(one_round(setup, arguments.rate, arguments.seconds)))
    print(table(rounds, arguments.rate))
    print(f"{arguments.rounds} rounds, interleaved, in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()

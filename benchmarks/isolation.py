"""What broken receivers cost the others: latency and throughput of healthy endpoints beside broken ones.

Each round runs, one after another, a service (one process, SQLite) with: none broken; one of 50 endpoints hanging;
half of 200 broken, by never answering, by refusing connections, and by dripping. Changes come through HTTP at a steady
rate, and each goes to every endpoint. Healthy endpoints only are measured, and compared twice: with a run of as many
endpoints of which none is broken, and with one without those that are (the harder one: there a broken endpoint should
cost no more than none at all). The first change, when everything connects, is among those that count.

    python -m benchmarks.isolation [--rounds 3] [--scale 1] [--only NAME] [--json FILE]

--scale: of the seconds of load.
"""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import httpx
import uvloop
from tests.processes import Installation, free_port
from tests.receiver import Received, Receiver, receiver

from benchmarks import results
from benchmarks.changing import TRANSITIONS, load, prepare
from benchmarks.results import Document, Round, Rounds, Table, Wanted, interleaved, spread

RATE = 10.0
"""Changes a second, each to every endpoint."""
SECONDS = 20.0
"""Of load in each setup."""
WAIT_SECONDS = 20
DRIP_SECONDS = 60.0


@dataclass(frozen=True)
class Setup:
    """It is compared with the setups of as many endpoints, and of as many healthy ones, none broken."""

    name: str
    endpoints: int
    broken: int = 0
    how: str = ""


SETUPS = (
    Setup("49, none broken", 49),
    Setup("50, none broken", 50),
    Setup("50, one never answers", 50, 1, "hang"),
    Setup("100, none broken", 100),
    Setup("200, none broken", 200),
    Setup("200, half never answer", 200, 100, "hang"),
    Setup("200, half refuse", 200, 100, "refuse"),
    Setup("200, half drip", 200, 100, "drip"),
)


def none_broken(endpoints: int) -> str:
    """The name of the setup of so many."""
    return next(one.name for one in SETUPS if one.endpoints == endpoints and not one.broken)


def answer(one: Received) -> int | None:
    """Never, where the path says so."""
    return None if one.path.startswith("/hang") else 200


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A status line, and then a header every now and then."""
    try:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        async with asyncio.timeout(DRIP_SECONDS):
            while True:
                writer.write(b"X: y\r\n")
                await writer.drain()
                await asyncio.sleep(0.2)
    except (OSError, RuntimeError, TimeoutError, asyncio.CancelledError):
        writer.close()


async def webhooks(installation: Installation, token: dict[str, str], urls: list[str]) -> None:
    """One webhook for each URL, instead of the one that `prepare` made."""
    async with httpx.AsyncClient(base_url=installation.url, headers=token, timeout=30) as http:
        root = (await http.get("/")).json()
        path = root["_links"]["webhooks"][0]["href"]
        for one in (await http.get(path)).json()["_embedded"]["items"]:
            await http.delete(one["_links"]["self"]["href"])
        for url in urls:
            body = {"event": "reportStateChanged", "payloadUrl": url}
            (await http.post(path, json=body)).raise_for_status()


async def one_round(setup: Setup, seconds: float) -> Round:
    """A new service and database, its webhooks, and the load."""
    count = int(RATE * seconds)
    healthy = setup.endpoints - setup.broken
    dripping = await asyncio.start_server(drip, "127.0.0.1", 0, backlog=1024)
    bad = {
        "": "",
        "hang": "{url}/hang{n}",
        "refuse": f"http://127.0.0.1:{free_port()}/{{n}}",
        "drip": f"http://127.0.0.1:{dripping.sockets[0].getsockname()[1]}/{{n}}",
    }[setup.how]
    async with receiver(answer) as there:
        with tempfile.TemporaryDirectory() as directory:
            installation = Installation(Path(directory))
            try:
                await installation.serve()
                token, reports = await prepare(installation, f"{there.url}/hook", -(-count // len(TRANSITIONS)))
                urls = [f"{there.url}/{n}" for n in range(healthy)]
                urls += [bad.format(url=there.url, n=n) for n in range(setup.broken)]
                await webhooks(installation, token, urls)
                result = await load(installation.url, token, reports, RATE, count)
                await arrived(there, healthy * count)
            finally:
                installation.kill()
    dripping.close()
    return measured(there, result.answered, healthy)


async def arrived(there: Receiver, count: int) -> None:
    """Wait until the healthy ones have everything."""
    async with asyncio.timeout(WAIT_SECONDS):
        while sum(not one.path.startswith("/hang") for one in there.received) < count:
            await there.wait_for(len(there.received) + 1, WAIT_SECONDS)


def measured(there: Receiver, answered: dict[tuple[str, str], float], healthy: int) -> dict[str, float]:
    latencies, arrivals = [], []
    for one in there.received:
        if not one.path.startswith("/hang"):
            payload = json.loads(one.body)["payload"]
            latencies.append((one.at - answered[payload["id"], payload["state"]]) * 1000)
            arrivals.append(one.at)
    cuts = quantiles(latencies, n=100, method="inclusive")
    each = len(arrivals) / healthy / (max(arrivals) - min(answered.values()))
    return {"each_per_second": each, "p50_ms": cuts[49], "p99_ms": cuts[98]}


def measure(wanted: Wanted) -> Rounds:
    seconds = SECONDS * wanted.scale
    chosen = wanted.chosen(SETUPS, lambda setup: setup.name)
    return interleaved(
        wanted.rounds, chosen, lambda setup: setup.name, lambda setup, _: uvloop.run(one_round(setup, seconds))
    )


def tables(document: Document) -> list[Table]:
    columns = ("endpoints", "a second, each", "p50, ms", "p99, ms", "p99 to none broken", "p99 to only healthy")
    lines = []
    for setup in SETUPS:
        rounds = document.setups.get(setup.name, ())
        others = {setup.endpoints, setup.endpoints - setup.broken} if setup.broken else set()
        ratios = {count: _ratio(rounds, document.setups.get(none_broken(count), ()), "p99_ms") for count in others}
        if rounds:
            lines.append(
                (
                    setup.name,
                    spread(rounds, "each_per_second", ".2f"),
                    *(spread(rounds, key, ".0f") for key in ("p50_ms", "p99_ms")),
                    ratios.get(setup.endpoints, ""),
                    ratios.get(setup.endpoints - setup.broken, ""),
                )
            )
    note = (
        f"Of the healthy endpoints: what each received a second of {RATE:g} changes a second, until the last arrived, "
        "and how long after its 2xx. Ratios are to the same round's run of as many endpoints, none broken, and of the "
        "healthy ones alone. Receivers and load share a process."
    )
    return [Table("Healthy endpoints beside broken ones", columns, lines, note)]


def _ratio(rounds: Sequence[Round], others: Sequence[Round], key: str) -> str:
    """The median of the rounds' ratios, each to the same round."""
    if not others:
        return ""
    return spread([{key: one[key] / other[key]} for one, other in zip(rounds, others, strict=True)], key, ".2f")


if __name__ == "__main__":
    results.main(__doc__, measure, tables)

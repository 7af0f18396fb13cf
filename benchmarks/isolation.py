"""What broken receivers cost the others: latency and throughput of healthy endpoints beside broken ones.

Each round runs, one after another, a service (one process, SQLite) with: none broken; one of 50 endpoints hanging; half
of 200 broken, by never answering, by refusing connections, and by dripping. Changes come through HTTP at a steady rate,
and each goes to every endpoint. Compared are the healthy endpoints only, with as many of them and none broken.

    python -m benchmarks.isolation [--rate 10] [--seconds 8] [--rounds 3]
"""

import argparse
import asyncio
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import httpx
import uvloop
from tests.processes import Installation, free_port
from tests.receiver import Received, Receiver, receiver

from benchmarks.changing import TRANSITIONS, load, prepare

WAIT_SECONDS = 20
DRIP_SECONDS = 60.0


@dataclass(frozen=True)
class Setup:
    """`baseline`: the setup with as many healthy endpoints and none broken."""

    name: str
    endpoints: int
    broken: int
    how: str
    baseline: str


SETUPS = (
    Setup("49, none broken", 49, 0, "", ""),
    Setup("50, one never answers", 50, 1, "hang", "49, none broken"),
    Setup("100, none broken", 100, 0, "", ""),
    Setup("200, half never answer", 200, 100, "hang", "100, none broken"),
    Setup("200, half refuse", 200, 100, "refuse", "100, none broken"),
    Setup("200, half drip", 200, 100, "drip", "100, none broken"),
)


@dataclass
class Measured:
    """Of the healthy endpoints: deliveries a second while the load lasted, and latencies in ms."""

    throughput: float
    p50: float
    p99: float


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


async def one_round(setup: Setup, rate: float, seconds: float) -> Measured:
    """A new service and database, its webhooks, and the load."""
    count = int(rate * seconds)
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
                result = await load(installation.url, token, reports, rate, count)
                await arrived(there, healthy * count)
            finally:
                installation.kill()
    dripping.close()
    return measure(there, result.answered)


async def arrived(there: Receiver, count: int) -> None:
    """Wait until the healthy ones have everything."""
    async with asyncio.timeout(WAIT_SECONDS):
        while sum(not one.path.startswith("/hang") for one in there.received) < count:
            await there.wait_for(len(there.received) + 1, WAIT_SECONDS)


def measure(there: Receiver, answered: dict[tuple[str, str], float]) -> Measured:
    latencies, arrivals = [], []
    for one in there.received:
        if not one.path.startswith("/hang"):
            payload = json.loads(one.body)["payload"]
            latencies.append((one.at - answered[payload["id"], payload["state"]]) * 1000)
            arrivals.append(one.at)
    cuts = quantiles(latencies, n=100, method="inclusive")
    return Measured(len(arrivals) / (max(arrivals) - min(answered.values())), cuts[49], cuts[98])


def table(rounds: dict[str, list[Measured]], rate: float) -> str:
    """Medians over the rounds; ratios to the baseline of the same round, and their median."""
    lines = [
        f"healthy endpoints beside broken ones, {rate:g} changes a second to every endpoint (medians over rounds)",
        f"{'endpoints':<25} {'deliveries/s':>13} {'ratio':>7} {'p50 ms':>8} {'p99 ms':>8} {'p99 ratio':>10}",
    ]
    for setup in SETUPS:
        found = rounds[setup.name]
        base = rounds[setup.baseline or setup.name]
        throughput = median(one.throughput / other.throughput for one, other in zip(found, base, strict=True))
        tail = median(one.p99 / other.p99 for one, other in zip(found, base, strict=True))
        lines.append(
            f"{setup.name:<25} {median(one.throughput for one in found):>13.0f} {throughput:>7.2f} "
            f"{median(one.p50 for one in found):>8.0f} {median(one.p99 for one in found):>8.0f} {tail:>10.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=10, help="changes a second")
    parser.add_argument("--seconds", type=float, default=8, help="of load in each setup")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rounds: dict[str, list[Measured]] = {setup.name: [] for setup in SETUPS}
    began = time.monotonic()
    for _ in range(arguments.rounds):
        for setup in SETUPS:
            rounds[setup.name].append(uvloop.run(one_round(setup, arguments.rate, arguments.seconds)))
    print(table(rounds, arguments.rate))
    print(f"{arguments.rounds} rounds, interleaved, in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()

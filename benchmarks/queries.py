"""Every list and filter of the API over a million reports of a hundred organizations, on both engines.

The largest organization has a tenth of the reports, and its admin asks, through HTTP, of a real `tocsin serve`. Rounds
take turns with the engines. Prints a table: for each query and engine how many rows its list has, the median and the
95th percentile of the time to the answer's last byte, and the CPU time that an answer costs the service (and
PostgreSQL) together.

    python -m benchmarks.queries [--scale 1] [--rounds 15] [--plans] [--only TEXT]

`--scale 0.01`: a hundredth of the reports. `--plans`: instead of the table, how each engine finds what it is asked for.
"""

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import httpx
from tests.conftest import KEY
from tests.postgres import Cluster, cluster, execute
from tests.processes import Installation

from benchmarks.installations import POSTGRESQL, SERVER, SQLITE
from benchmarks.machine import cpu_seconds
from benchmarks.queries_data import ACTIVITY_ID, BEGIN, MONTH, RARE, SIDE, SPAN, Maker, fill
from tocsin import app
from tocsin.hal.encoding import moment
from tocsin.settings import Settings, load
from tocsin.storage.migrate import migrate

REPORTS: Final = 1_000_000
ORGANIZATIONS: Final = 100
PASSWORD: Final = "correct horse"
LIMIT_MS: Final = 50.0
SEARCH_LIMIT_MS: Final = 500.0


@dataclass(frozen=True)
class Query:
    name: str
    path: str

    @property
    def limit_ms(self) -> float:
        return SEARCH_LIMIT_MS if "search" in self.path else LIMIT_MS


@dataclass
class Measured:
    rows: int = 0
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def queries(maker: Maker) -> list[Query]:
    """Of the largest organization's admin."""
    one = maker.organizations[0]
    organization, pages = f"/organizations/{one.id}", maker.reports // 10 // 10
    late, middle = moment(BEGIN + SPAN - MONTH // 30), moment(BEGIN + SPAN // 2)
    late, middle = late.replace("+", "%2B"), middle.replace("+", "%2B")
    centre = f"%2B{one.south + SIDE / 2:.4f}{one.west + SIDE / 2:+.4f}".replace("+", "%2B")
    reports, operations = f"{organization}/reports", f"{organization}/operations"
    private = "/feedbacks?visibility[]=VISIBILITY_PRIVATE"
    found = {
        "reports": reports,
        "reports, ascending": f"{reports}?order=asc",
        "reports, 100 of them": f"{reports}?limit=100",
        "reports, in the middle": f"{reports}?page={max(1, pages // 2)}",
        "reports, tenth page from the end": f"{reports}?page={max(1, pages - 10)}",
        "reports, one state": f"{reports}?state=NEW",
        "reports, most states": f"{reports}?state=CLOSED,IN_PROGRESS,ACCEPTED",
        "reports, one state, late page": f"{reports}?state=CLOSED&page={max(1, pages // 3)}",
        "reports, category": f"{reports}?category={one.categories[0]}",
        "reports, category and state": f"{reports}?category={one.categories[0]}&state=ON_HOLD",
        "reports, district": f"{reports}?place={one.district_id}",
        "reports, city": f"{reports}?place={one.city_id}",
        "reports, city and state": f"{reports}?place={one.city_id}&state=NEW",
        "reports, after": f"{reports}?after={late}",
        "reports, before": f"{reports}?before={middle}",
        "reports, changed lately": f"{reports}?updatedAfter={late}",
        "reports, changed in a year": f"{reports}?updatedAfter={middle}",
        "reports, search a rare word": f"{reports}?search[description]={RARE}",
        "reports, search a common word": f"{reports}?search[description]=LAMPE",
        "reports, search an accent": f"{reports}?search[description]=éteinte",
        "reports, search nothing": f"{reports}?search[description]=xyzzy",
        "reports, search a number": f"{reports}?search[identificationNumber]=-1234",
        "operations": operations,
        "operations, state": f"{operations}?state=NEW",
        "operations, changed lately": f"{operations}?updatedAfter={late}",
        "operations, search": f"{operations}?search[description]=école",
        "operations of a report": f"/reports/{one.report_id}/operations",
        "feedback, public": "/feedbacks",
        "feedback, category": f"/feedbacks?category={one.categories[0]}",
        "feedback, organization": f"/feedbacks?organization={one.id}",
        "feedback, near": f"/feedbacks?geo_near={centre}%2B500",
        "feedback, near, 20 km": f"/feedbacks?geo_near={centre}%2B20000",
        "feedback, geohash of 4": "/feedbacks?geo_hash[]=ezn7",
        "feedback, private": private,
        "feedback, all that one sees": f"{private}&visibility[]=VISIBILITY_PUBLIC",
        "feedback, private, organization": f"{private}&organization={one.id}",
        "organizations": "/organizations",
        "organizations, around a point": f"/organizations?geo_coordinates={centre}",
        "organizations, search": "/organizations?search[name]=ville",
        "categories": "/categories",
        "categories, activity": f"/categories?business_activity={ACTIVITY_ID}",
        "categories, search": "/categories?search[name]=éclairage",
        "places": "/places",
        "places, around a point": f"/places?geo_point={centre}",
        "places, geohash of 4": "/places?geo_hash[]=ezn7",
        "places, inside one": f"/places?parent={one.city_id}",
        "places, search": f"{organization}/places?search[name]=quart",
        "business activities": f"/businessactivities?organization={maker.organizations[1].id}",
        "members": f"{organization}/members",
        "members, search": f"{organization}/members?search[givenName]=zoé",
        "people": "/people",
        "people, search": "/people?search[familyName]=LEFÈVRE",
    }
    return [Query(name, path) for name, path in found.items()]


@dataclass
class Served:
    """A service over a filled database, and its client."""

    engine: str
    settings: Settings
    http: httpx.AsyncClient
    processes: Sequence[int]
    """Those that an answer costs time."""

    def cpu(self) -> float:
        return sum(cpu_seconds(process, descendants=True) for process in self.processes)

    async def ask(self, query: Query, into: Measured) -> None:
        cpu, began = self.cpu(), time.perf_counter()
        answer = await self.http.get(query.path)
        into.seconds.append(time.perf_counter() - began)
        into.cpu.append(self.cpu() - cpu)
        assert answer.status_code == 200, f"{query.path}: {answer.status_code} {answer.text}"
        into.rows = answer.json()["total"]


@contextlib.contextmanager
def databases(directory: Path, maker_of: Callable[[], Maker]) -> Iterator[tuple[dict[str, Settings], Cluster]]:
    """A filled one on each engine."""
    with cluster(**SERVER) as server:
        execute(server.url("postgres"), "CREATE DATABASE queries")
        urls = {SQLITE: f"sqlite:///{directory}/queries.db", POSTGRESQL: server.url("queries")}
        for engine, url in urls.items():
            migrate(url)
            began = time.monotonic()
            fill(url, maker_of())
            filled = time.monotonic()
            migrate(url)
            built = time.monotonic()
            if engine == POSTGRESQL:
                execute(url, "VACUUM ANALYZE")
            print(f"{engine}: filled in {filled - began:.0f} s, indexes built in {built - filled:.0f} s", flush=True)
        yield (
            {engine: load({"TOCSIN_DATABASE_URL": url, "TOCSIN_SECRET_KEY": KEY}) for engine, url in urls.items()},
            server,
        )


async def log_in(settings: Settings, http: httpx.AsyncClient, person_id: str) -> None:
    async with app.open_use_cases(settings, "https://tocsin.example.org") as use_cases:
        make_link = use_cases.authentication.make_link
        link = await use_cases.context.storage.write(lambda tx: make_link(tx, person_id))
    changed = await http.post(f"/security/password/change/{link}", json={"password": PASSWORD})
    assert changed.status_code == 204, changed.text
    login = await http.post("/security/login", json={"login": "p0@0.example.org", "password": PASSWORD})
    http.headers["Authorization"] = f"Bearer {login.json()['accessToken']}"


@contextlib.asynccontextmanager
async def serving(
    directory: Path, engine: str, settings: Settings, server: Cluster, person_id: str
) -> AsyncIterator[Served]:
    more = {"TOCSIN_DATABASE_URL": settings.database_url, "TOCSIN_SECRET_KEY": KEY, "TOCSIN_RATE_LIMITS": "off"}
    installation = Installation(directory, more=more)
    process = await installation.serve("--no-worker")
    processes = [process.pid, server.process.pid] if engine == POSTGRESQL else [process.pid]
    try:
        async with httpx.AsyncClient(base_url=installation.url, timeout=60) as http:
            await log_in(settings, http, person_id)
            yield Served(engine, settings, http, processes)
    finally:
        installation.kill()


async def measure(
    directory: Path, found: dict[str, Settings], server: Cluster, wanted: Sequence[Query], person_id: str, rounds: int
) -> dict[tuple[str, str], Measured]:
    measured: dict[tuple[str, str], Measured] = {}
    async with contextlib.AsyncExitStack() as stack:
        served = [
            await stack.enter_async_context(serving(directory, engine, settings, server, person_id))
            for engine, settings in found.items()
        ]
        for turn in range(rounds + 1):  # the first warms up
            for query in wanted:
                for one in served:
                    kept = measured.setdefault((query.name, one.engine), Measured())
                    await one.ask(query, Measured() if turn == 0 else kept)
    return measured


def table(wanted: Sequence[Query], measured: dict[tuple[str, str], Measured]) -> str:
    lines = [f"{'query':<36} {'engine':<10} {'rows':>9} {'p50 ms':>8} {'p95 ms':>8} {'CPU ms':>8}"]
    for query in wanted:
        for engine in (SQLITE, POSTGRESQL):
            one = measured[query.name, engine]
            middle, late = median(one.seconds) * 1e3, quantiles(one.seconds, n=20)[-1] * 1e3
            cpu, over = sum(one.cpu) / len(one.cpu) * 1e3, "  over" if middle > query.limit_ms else ""
            lines.append(f"{query.name:<36} {engine:<10} {one.rows:>9,} {middle:>8.1f} {late:>8.1f} {cpu:>8.1f}{over}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="of a million reports")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--plans", action="store_true")
    parser.add_argument("--only", default="", help="queries whose name holds this")
    arguments = parser.parse_args()
    reports = round(REPORTS * arguments.scale)
    maker = Maker(reports, ORGANIZATIONS)
    for _ in maker.batches():
        pass  # so that it knows the reports that the databases have
    wanted = [query for query in queries(maker) if arguments.only in query.name]
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        with databases(directory, lambda: Maker(reports, ORGANIZATIONS)) as (found, server):
            person_id = maker.organizations[0].people[0]
            run = measure(directory, found, server, wanted, person_id, arguments.rounds)
            print(table(wanted, asyncio.run(run)))
    print(f"{reports:,} reports, {arguments.rounds} rounds, engines in turns")


if __name__ == "__main__":
    main()

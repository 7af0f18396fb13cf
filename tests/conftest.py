"""The real service for tests: a database file, a server on a socket, a clock that only tests move."""

import asyncio
import itertools
import os
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import httpx
import pytest
from argon2 import PasswordHasher

from tests.postgres import Cluster, database, make_template, quick_cluster
from tocsin import app
from tocsin.cli.servers import api_server, listen, run_api
from tocsin.clock import Clock, SystemClock
from tocsin.delivery.dialing import tls_context
from tocsin.service.sessions import new_key
from tocsin.service.use_cases import UseCases
from tocsin.settings import Settings, load
from tocsin.storage.migrate import is_sqlite, migrate, sqlite_path

START: int = 1_519_725_600_000_000
"""2018-02-27T10:00:00Z, in microseconds."""


FAST_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""So that tests don't wait for what is slow on purpose."""


KEYS: Final = 8
"""Keys that sign tokens, made once for all tests of a process; those that one installation makes differ."""
_numbers = itertools.count()


@cache
def _key(_: int) -> bytes:
    return new_key()


def ready_key() -> bytes:
    """The next of the keys that are made once."""
    return _key(next(_numbers) % KEYS)


@cache
def empty_database() -> bytes:
    """The file of an SQLite database that has every migration: to be copied, not migrated again for each test."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "tocsin.db"
        migrate(f"sqlite:///{file}")
        return file.read_bytes()


@pytest.fixture(scope="session", autouse=True)
def authorities_read_once() -> Iterator[None]:
    """The certificates that the system trusts are many: every sender of a process shares what was read of them."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("tocsin.delivery.sender.tls_context", cache(tls_context))
        yield


@cache
def client_tls() -> ssl.SSLContext:
    """What a client reads once, too."""
    return ssl.create_default_context()


ENGLISH = {"Accept-Language": "en-US"}
"""What tests read is English, unless they ask for something else."""


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self, now: int = START) -> None:
        self.time = now

    def now(self) -> int:
        return self.time

    def monotonic(self) -> float:
        return self.time / 1_000_000

    def advance(self, seconds: float) -> None:
        self.time += round(seconds * 1_000_000)


@dataclass(frozen=True)
class Service:
    """A running service: `url` is its public URL, `http` a client of it."""

    url: str
    settings: Settings
    use_cases: UseCases
    http: httpx.AsyncClient
    clock: Clock


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


KEY = "a2V5IG9mIHRlc3RzIG9ubHksIDMyIGJ5dGVzIGxvbmc="
both_engines = pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)
"""Of tests, or of a module's `pytestmark`: each runs on both."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    with quick_cluster() as one:
        make_template(one)
        yield one


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", os.environ.get("TOCSIN_TEST_ENGINE", "sqlite")))


@pytest.fixture
def settings_of_engine(engine: str, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """What `serving` needs besides, to run on the engine."""
    if engine == "sqlite":
        yield {}
    else:
        with database(request.getfixturevalue("postgres")) as url:
            yield {"TOCSIN_DATABASE_URL": url, "TOCSIN_SECRET_KEY": KEY}


def settings_in(directory: Path, **more: str) -> Settings:
    """Settings for a service of tests; `more` by their names."""
    environment = {
        "TOCSIN_DATABASE_URL": f"sqlite:///{directory}/tocsin.db",
        "TOCSIN_ORGANIZATIONS": "open",
        "TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8",
        "TOCSIN_RATE_LIMITS": "off",
        "TOCSIN_MAIL_DIRECTORY": f"{directory}/mails",
    }
    return load({**environment, **more})


def bring_up_to_date(database_url: str) -> None:
    """As `serve` does it, but for an SQLite file that is not there yet."""
    if is_sqlite(database_url) and not (file := sqlite_path(database_url)).exists():
        file.write_bytes(empty_database())
    else:
        migrate(database_url)


@asynccontextmanager
async def serving(directory: Path, clock: Clock | None = None, **more: str) -> AsyncIterator[Service]:
    """A service on a socket, over a database in `directory`."""
    settings = settings_in(directory, **more)
    bring_up_to_date(settings.database_url)
    the_clock = clock or ManualClock()
    listening = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with app.open_use_cases(settings, url, the_clock, FAST_HASHER, ready_key) as use_cases:
        stop = asyncio.Event()
        server = asyncio.create_task(run_api(api_server(use_cases), listening, stop))
        async with httpx.AsyncClient(base_url=url, timeout=30, headers=ENGLISH, verify=client_tls()) as http:
            yield Service(url, settings, use_cases, http, the_clock)
        stop.set()
        await server


@asynccontextmanager
async def delivering(service: Service) -> AsyncIterator[None]:
    """The service's worker, while the context lasts."""
    stop = asyncio.Event()
    worker = asyncio.create_task(app.run_worker(service.settings, service.use_cases, stop))
    try:
        yield
    finally:
        stop.set()
        await worker


@pytest.fixture
async def service(tmp_path: Path, clock: ManualClock, settings_of_engine: dict[str, str]) -> AsyncIterator[Service]:
    """The service, with a clock that stands still."""
    async with serving(tmp_path, clock, **settings_of_engine) as running:
        yield running


@pytest.fixture
async def working(tmp_path: Path, settings_of_engine: dict[str, str]) -> AsyncIterator[Service]:
    """The service with its worker, in real time."""
    async with serving(tmp_path, SystemClock(), **settings_of_engine) as running, delivering(running):
        yield running

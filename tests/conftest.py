"""The real service for tests: a database file, a server on a socket, a clock that only tests move."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn
from argon2 import PasswordHasher

from tocsin import app
from tocsin.service.use_cases import UseCases
from tocsin.settings import Settings, load
from tocsin.storage.migrate import migrate

START: int = 1_519_725_600_000_000
"""2018-02-27T10:00:00Z, in microseconds."""


FAST_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""So that tests don't wait for what is slow on purpose."""


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
    clock: ManualClock


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(
        {
            "TOCSIN_DATABASE_URL": f"sqlite:///{tmp_path}/tocsin.db",
            "TOCSIN_ORGANIZATIONS": "open",
            "TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8",
            "TOCSIN_RATE_LIMITS": "off",
        }
    )


@pytest.fixture
async def service(settings: Settings, clock: ManualClock) -> AsyncIterator[Service]:
    migrate(settings.database_url)
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with (
        app.open_use_cases(settings, url, clock, FAST_HASHER) as use_cases,
        httpx.AsyncClient(base_url=url, timeout=30) as http,
    ):
        config = uvicorn.Config(app.api(use_cases), log_config=None, lifespan="off", server_header=False)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        yield Service(url, settings, use_cases, http, clock)
        server.should_exit = True
        await serving


@pytest.fixture
async def working(service: Service) -> AsyncIterator[Service]:
    """The service with its worker."""
    stop = asyncio.Event()
    task = asyncio.create_task(app.run_worker(service.settings, service.use_cases.context, stop))
    yield service
    stop.set()
    await task

"""`serve` and `worker`: long-running, ended by SIGTERM or SIGINT within 10 seconds, with nothing lost."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import Coroutine, Iterator
from typing import Any, Final

import typer
import uvicorn
import uvloop

from tocsin import app
from tocsin.cli.connections import BoundedProtocol, allow_files
from tocsin.service.use_cases import UseCases
from tocsin.settings import Settings, SettingsError
from tocsin.storage.migrate import migrate, pending

SHUTDOWN_SECONDS: Final = 8
"""How long answers in progress may still take."""
BACKLOG: Final = 2048
GC_THRESHOLDS: Final = (50_000, 20, 50)
DEFAULT_URL: Final = "http://127.0.0.1:8000"


class Server(uvicorn.Server):
    """Uvicorn without signal handlers of its own: one stop ends the API and the worker together."""

    def __init__(self, config: uvicorn.Config, use_cases: UseCases) -> None:
        super().__init__(config)
        self.use_cases = use_cases

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(settings: Settings, host: str, port: int, *, with_worker: bool, with_migrations: bool) -> None:
    prepare(settings, with_migrations=with_migrations)
    allow_files()
    listening = listen(host, port)
    url = settings.public_url or own_url(host, listening)
    typer.echo(f"tocsin serves {url}/  (docs: {url}/docs)", err=True)
    calm_garbage_collection()
    uvloop.run(_serve(settings, url, listening, with_worker=with_worker))


def work(settings: Settings) -> None:
    prepare(settings, with_migrations=False)
    allow_files()
    typer.echo("tocsin delivers", err=True)
    calm_garbage_collection()
    uvloop.run(_work(settings))


def prepare(settings: Settings, *, with_migrations: bool) -> None:
    """Raises SettingsError where the schema is not up to date and may not be brought there."""
    if with_migrations:
        migrate(settings.database_url)
    elif pending(settings.database_url):
        raise SettingsError("TOCSIN_DATABASE_URL must name a database that is up to date: run tocsin migrate")


def calm_garbage_collection() -> None:
    """What is loaded by now stays: it is not looked through again and again for garbage that it doesn't hold."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def own_url(host: str, listening: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listening.getsockname()[1]}"


def api_server(use_cases: UseCases) -> Server:
    config = uvicorn.Config(
        app.api(use_cases),
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        http=BoundedProtocol,
        ws="none",
        proxy_headers=False,  # who called is read by `api.client_address`, from proxies that a setting names
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return Server(config, use_cases)


def stop_on_signals() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; a second one ends the process at once."""
    stop = asyncio.Event()

    def received() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, received)
    return stop


async def run_api(server: Server, listening: socket.socket, stop: asyncio.Event) -> None:
    """Serve until `stop` is set; whoever waits for events is let go then."""
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    server.use_cases.event_feed.close()
    server.should_exit = True
    await serving


async def _serve(settings: Settings, url: str, listening: socket.socket, *, with_worker: bool) -> None:
    stop = stop_on_signals()
    async with app.open_use_cases(settings, url) as use_cases:
        parts = [run_api(api_server(use_cases), listening, stop)]
        if with_worker:
            parts.append(app.run_worker(settings, use_cases, stop))
        await run_together(parts, stop)


async def _work(settings: Settings) -> None:
    stop = stop_on_signals()
    async with app.open_use_cases(settings, settings.public_url or DEFAULT_URL) as use_cases:
        await app.run_worker(settings, use_cases, stop)


async def run_together(parts: list[Coroutine[Any, Any, None]], stop: asyncio.Event) -> None:
    """Run all until each has ended; when one fails, the others are stopped. Raises the first failure."""
    tasks = [asyncio.create_task(part) for part in parts]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    stop.set()
    await asyncio.gather(*tasks)

"""`demo`: service, worker, receiver and sample data in one process, everything as real as in production.

A person reports broken lamps, the city accepts, works and closes, all through the HTTP API; a receiver on a socket of
its own verifies each notification. A terminal shows changes and notifications side by side; elsewhere each notification
is one plain line. Latency is from the call that makes the change to the notification's receipt.
"""

import asyncio
import contextlib
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import httpx
import orjson
import typer
import uvloop
from rich.console import Console

from tocsin import app, log
from tocsin.cli.demo_view import LineView, LiveView, Notified
from tocsin.cli.servers import api_server, listen, own_url, run_api, run_together, stop_on_signals
from tocsin.delivery.signing import SignatureError, verify
from tocsin.domain.events import Event
from tocsin.service.use_cases import UseCases
from tocsin.settings import Settings, load
from tocsin.storage.migrate import migrate

LAMPS: Final = (
    "The lamp in front of number 12 is broken",
    "Three lamps are out on the bridge",
    "The lamp at the bus stop flickers",
    "A lamp post leans over the cycle path",
)
POINT: Final = {"latitude": 44.8378, "longitude": -0.5792}
SQUARE: Final = {
    "type": "Polygon",
    "coordinates": [[[-0.7, 44.7], [-0.4, 44.7], [-0.4, 45.0], [-0.7, 45.0], [-0.7, 44.7]]],
}
RECEIPT_SECONDS: Final = 10.0
"""At the end: how long the last notifications are waited for."""


class View(Protocol):
    def opened(self, url: str, token: str) -> None: ...

    def changed(self, text: str) -> None: ...

    def notified(self, one: Notified) -> None: ...


@dataclass
class Receiver:
    """Verifies what comes and shows it. `secrets` by webhook."""

    view: View
    secrets: dict[str, str] = field(default_factory=dict)
    called_at: dict[tuple[str, str], float] = field(default_factory=dict)
    received: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def has(self, count: int) -> bool:
        """Wait for so many notifications; False: they did not come in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RECEIPT_SECONDS):
                while self.received < count:
                    self.arrived.clear()
                    await self.arrived.wait()
        return self.received >= count

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                headers = dict(_header(line) for line in head.split("\r\n")[1:] if line)
                body = await reader.readexactly(int(headers["content-length"]))
                self.take(headers, body)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                await writer.drain()
        writer.close()

    def take(self, headers: dict[str, str], body: bytes) -> None:
        received_at = time.time()
        notification = orjson.loads(body)
        event, payload = notification["event"], notification["payload"]
        called_at = self.called_at.get((event, payload["id"]), received_at)
        wrong = None
        try:
            verify(self.secrets[headers["tocsin-webhook"]], headers, body, now=int(received_at))
        except (SignatureError, KeyError) as error:
            wrong = str(error)
        self.received += 1
        self.arrived.set()
        latency = (received_at - called_at) * 1000
        self.view.notified(Notified(event, payload["type"], payload["id"], payload["state"], latency, wrong))


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(": ")
    return name.lower(), value


@dataclass
class Story:
    """A city at work, through the HTTP API."""

    http: httpx.AsyncClient
    view: View
    receiver: Receiver
    pace_seconds: float
    organization_id: str
    member_id: str
    notifications: int = 0

    async def report(self, number: int) -> None:
        """From a broken lamp to a closed report."""
        text = LAMPS[number % len(LAMPS)]
        await self._file(text)
        report = await self._newest()
        path = f"/reports/{report['id']}"
        await self._report(path, report["id"], "accept", "The city accepts the report")
        operation = await self._create(report["id"])
        work = f"/operations/{operation['id']}"
        await self._operation(
            f"{work}/assign", {"member": self.member_id}, operation["id"], "It is given to an operator"
        )
        await self._report(path, report["id"], "progress", "The report is in progress")
        for transition, words in (("progress", "The operator is at work"), ("resolve", "The lamp shines again")):
            await self._operation(f"{work}/workflow/transition", {"transition": transition}, operation["id"], words)
        await self._report(path, report["id"], "close", "The report is closed")

    async def _file(self, text: str) -> None:
        called_at = time.time()
        await self._call("POST", "/feedbacks/issues", {"geo": {"point": POINT}, "description": text})
        report = await self._newest()
        self.receiver.called_at[Event.REPORT_CREATED, report["id"]] = called_at
        await self._tell(f"Somebody reports: {text}")

    async def _newest(self) -> dict[str, Any]:
        page = await self._call("GET", f"/organizations/{self.organization_id}/reports?limit=1")
        newest: dict[str, Any] = page["_embedded"]["items"][0]
        return newest

    async def _report(self, path: str, report_id: str, transition: str, words: str) -> None:
        self.receiver.called_at[Event.REPORT_STATE_CHANGED, report_id] = time.time()
        await self._call("POST", f"{path}/workflow/transition", {"transition": transition})
        await self._tell(words)

    async def _create(self, report_id: str) -> dict[str, Any]:
        called_at = time.time()
        operation = await self._call("POST", "/operations", {"report": report_id, "name": "Change the bulb"})
        self.receiver.called_at[Event.OPERATION_CREATED, operation["id"]] = called_at
        await self._tell("An operation is created: change the bulb")
        return operation

    async def _operation(self, path: str, body: dict[str, str], operation_id: str, words: str) -> None:
        self.receiver.called_at[Event.OPERATION_STATE_CHANGED, operation_id] = time.time()
        await self._call("POST", path, body)
        await self._tell(words)

    async def _tell(self, words: str) -> None:
        self.notifications += 1
        self.view.changed(words)
        await asyncio.sleep(self.pace_seconds)

    async def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        response = await self.http.request(method, path, json=body)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


def run(*, reports: int, keep: Path | None, port: int, pace_seconds: float) -> None:
    """Until Ctrl-C, or until `reports` reports are closed and notified."""
    console = Console()
    log.configure()
    with _database(keep) as database:
        settings = load(
            {
                "TOCSIN_DATABASE_URL": f"sqlite:///{database}",
                "TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8,::1/128",
                "TOCSIN_RATE_LIMITS": "off",
            }
        )
        migrate(settings.database_url)
        listening = listen("127.0.0.1", port)
        if console.is_terminal:
            with LiveView(console) as live:
                uvloop.run(_run(settings, listening, live, reports, pace_seconds))
        else:
            uvloop.run(_run(settings, listening, LineView(), reports, pace_seconds))


@contextlib.contextmanager
def _database(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="tocsin-demo-") as directory:
        yield Path(directory) / "tocsin.db"


async def _run(settings: Settings, listening: socket.socket, view: View, reports: int, pace_seconds: float) -> None:
    stop = stop_on_signals()
    url = own_url("127.0.0.1", listening)
    async with app.open_use_cases(settings, url) as use_cases, _receiving(view) as (receiver, receiver_url):
        parts = [
            run_api(api_server(use_cases), listening, stop),
            app.run_worker(settings, use_cases, stop),
            _tell(use_cases, url, receiver, receiver_url, reports, pace_seconds, stop),
        ]
        await run_together(parts, stop)


@contextlib.asynccontextmanager
async def _receiving(view: View) -> AsyncIterator[tuple[Receiver, str]]:
    receiver = Receiver(view)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    try:
        yield receiver, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    finally:
        server.close()


async def _tell(
    use_cases: UseCases,
    url: str,
    receiver: Receiver,
    receiver_url: str,
    reports: int,
    pace_seconds: float,
    stop: asyncio.Event,
) -> None:
    """Set the stage, then report after report; ends the demo when all are told."""
    stopping = asyncio.create_task(stop.wait())
    telling = asyncio.create_task(_story(use_cases, url, receiver, receiver_url, reports, pace_seconds))
    await asyncio.wait({stopping, telling}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    for task in (stopping, telling):
        if not task.done():
            task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await telling


async def _story(
    use_cases: UseCases, url: str, receiver: Receiver, receiver_url: str, reports: int, pace_seconds: float
) -> None:
    created = await use_cases.organizations.create_for("Bordeaux", "admin@bordeaux.example.org")
    organization_id = created.organization.id
    reporter = await use_cases.authentication.register("ada@example.org", "correct horse battery", "127.0.0.1")
    login = await use_cases.authentication.login("ada@example.org", "correct horse battery", "127.0.0.1", "127.0.0.1")
    receiver.view.opened(url, created.token)
    async with _client(url, created.token) as city, _client(url, login.token) as person:
        await _set_stage(city, organization_id, receiver, receiver_url)
        member = await city.post(f"/organizations/{organization_id}/members", json={"person": reporter.id})
        path = f"/organizations/{organization_id}/members/{member.json()['id']}"
        (await city.patch(path, json={"roles": ["ORGANIZATION:ADMIN"]})).raise_for_status()
        member_id = member.json()["id"]
        story = Story(person, receiver.view, receiver, pace_seconds, organization_id, member_id)
        number = 0
        while not reports or number < reports:
            await story.report(number)
            number += 1
        if not await receiver.has(story.notifications):
            raise typer.Exit(1)


def _client(url: str, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False)


async def _set_stage(city: httpx.AsyncClient, organization_id: str, receiver: Receiver, receiver_url: str) -> None:
    place = {"name": "Centre", "polygon": SQUARE}
    (await city.post(f"/organizations/{organization_id}/places", json=place)).raise_for_status()
    for event in Event:
        webhook = {"event": event, "organization": organization_id, "payloadUrl": receiver_url}
        answer = (await city.post("/webhooks", json=webhook)).raise_for_status().json()
        receiver.secrets[answer["id"]] = answer["secret"]

"""The real service for fuzzing: on a socket in a thread of its own, with its worker, a receiver, and a rich world.

What the service logs as an error is kept: a worker that fails at what a call has stored answers nobody.
"""

import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.api.cast import Cast, cast, password_link
from tests.conftest import KEY, START, ManualClock, Service, delivering, serving
from tests.postgres import Cluster, database
from tests.receiver import Received, Receiver, receiver
from tocsin.domain.events import Event


class RunningClock(ManualClock):
    """Goes on by itself from the moment at which tests begin, and can be moved on besides."""

    def __init__(self) -> None:
        super().__init__()
        self._begun = time.monotonic_ns()

    def now(self) -> int:
        return self.time + (time.monotonic_ns() - self._begun) // 1000

    def monotonic(self) -> float:
        return (self.now() - START) / 1_000_000


@dataclass(frozen=True)
class Served:
    """`of`: the world, and who calls; `receiver`: where notifications and pings may go; `errors`: that were logged."""

    of: Cast
    receiver: str
    portal: BlockingPortal
    errors: list[str]

    @property
    def url(self) -> str:
        return self.of.service.url

    def password_link(self) -> str:
        """A fresh token for the one whose password may change."""
        return self.portal.call(password_link, self.of.service, self.of.spare)


@contextmanager
def served(directory: Path, postgres: Cluster | None) -> Iterator[Served]:
    """None: on SQLite."""
    if postgres is None:
        with _served(directory) as one:
            yield one
    else:
        with database(postgres) as url, _served(directory, TOCSIN_DATABASE_URL=url, TOCSIN_SECRET_KEY=KEY) as one:
            yield one


@contextmanager
def _served(directory: Path, **settings: str) -> Iterator[Served]:
    with (
        _logged() as errors,
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(receiver(_failing_now_and_then)) as receiving,
        portal.wrap_async_context_manager(serving(directory, RunningClock(), **settings)) as service,
    ):
        of = portal.call(_world, service, receiving)
        with portal.wrap_async_context_manager(delivering(service)):
            yield Served(of, receiving.url, portal, errors)


@contextmanager
def _logged() -> Iterator[list[str]]:
    """The errors that are logged meanwhile; nothing else is shown."""
    errors: list[str] = []

    def keep(_: Any, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if level in {"error", "critical"}:
            errors.append(" ".join(f"{name}={one}" for name, one in event.items()))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[structlog.processors.format_exc_info, keep], cache_logger_on_first_use=False)
    try:
        yield errors
    finally:
        structlog.configure(**before)


def _failing_now_and_then(received: Received) -> int:
    """So that deliveries come in every state."""
    return 500 if received.headers["webhook-id"].endswith(("0", "1", "2")) else 200


async def _world(service: Service, receiving: Receiver) -> Cast:
    of = await cast(service)
    for event in Event:
        await of.bordeaux.webhook(event, f"{receiving.url}/{event}")
    for transitions in (("accept",), ("accept", "progress"), ("refuse",)):
        await of.bordeaux.move(await of.bordeaux.report(), *transitions)
    return of

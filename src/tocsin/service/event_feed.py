"""The event feed: an organization's log, page by page, for whoever would rather read than be told."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.domain.errors import Gone, NotFound, Unavailable
from tocsin.service.caller import Caller
from tocsin.service.context import Context
from tocsin.storage import event_feed as stored
from tocsin.storage.records import LoggedEvent

WAIT_MAX_SECONDS: Final = 30
POLL_SECONDS: Final = 1.0
"""What another process appended is seen after this at the latest."""
WAITING_MAX: Final = 1_000
"""Readers that wait at once in one process."""
FOLLOWING_MAX: Final = 200
"""Streams open at once in one process."""
HEARTBEAT_SECONDS: Final = 15.0
PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class FeedPage:
    """`last`: the newest sequence of the log; `next_after`: where the next page begins."""

    events: Sequence[LoggedEvent]
    last: int
    next_after: int


class EventFeed:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._appended = asyncio.Event()
        self._waiting = 0
        self._following = 0
        self._closed = False
        context.storage.on_append(self._wake)

    def _wake(self) -> None:
        self._appended.set()
        self._appended = asyncio.Event()

    async def read(
        self, caller: Caller, organization_id: str, *, after: int, limit: int, event: str | None, wait_seconds: float
    ) -> FeedPage:
        """What follows `after`; an empty page waits up to `wait_seconds` for something to come.

        Raises Gone where the feed before the retention is asked for, Unavailable where too many wait.
        """
        caller.require_sight(organization_id)
        give_up_at = asyncio.get_running_loop().time() + wait_seconds
        while True:
            appended = self._appended
            page = await self._page(organization_id, after, limit, event)
            left = give_up_at - asyncio.get_running_loop().time()
            if page.events or left <= 0 or self._closed:
                return page
            await self._wait(appended, min(left, POLL_SECONDS))

    async def _page(self, organization_id: str, after: int, limit: int, event: str | None) -> FeedPage:
        async with self._context.storage.read() as tx:
            log = await stored.log(tx, organization_id)
            if log is None:
                raise NotFound("Not found.")
            if after + 1 < log["oldest_sequence"]:
                message = f"Events before {log['oldest_sequence']} are no longer kept."
                raise Gone(message, oldest=log["oldest_sequence"])
            events = await stored.page(tx, organization_id, after=after, limit=limit, event=event)
        full = len(events) == limit
        return FeedPage(events, log["sequence"], events[-1].sequence if full else max(after, log["sequence"]))

    async def _wait(self, appended: asyncio.Event, seconds: float) -> None:
        if self._waiting >= WAITING_MAX:
            raise Unavailable("Too many readers wait for events.", retry_after_seconds=1)
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await appended.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1

    async def follow(
        self, caller: Caller, organization_id: str, *, after: int, event: str | None
    ) -> AsyncGenerator[Sequence[LoggedEvent], None]:
        """Page by page, as they come, the first at once; an empty one every HEARTBEAT_SECONDS while nothing does.

        Ends when the service stops. Raises as `read` does, and Unavailable where too many follow.
        """
        if self._following >= FOLLOWING_MAX:
            raise Unavailable("Too many readers follow the events.", retry_after_seconds=5)
        self._following += 1
        try:
            wait_seconds = 0.0
            while not self._closed:
                page = await self.read(
                    caller, organization_id, after=after, limit=PAGE, event=event, wait_seconds=wait_seconds
                )
                after, wait_seconds = page.next_after, HEARTBEAT_SECONDS
                yield page.events
        finally:
            self._following -= 1

    def close(self) -> None:
        """Let everybody who waits go: the service stops."""
        self._closed = True
        self._wake()

    async def get(self, caller: Caller, event_id: str) -> LoggedEvent:
        async with self._context.storage.read() as tx:
            event = await stored.find(tx, event_id)
        if event is None or not caller.belongs(event.organization_id):
            raise NotFound("There is no such event.")
        return event

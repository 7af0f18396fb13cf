"""What keeps the database from growing for ever: the retention of events and attempts, and tidying up.

An event is kept for `days`; one that some webhook still has to deliver longer, at most `max_days`. Then it is lost to
that webhook, and said so: in the audit, in the webhook's status, in the log, in a metric.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from tocsin.clock import SECOND
from tocsin.domain.audit import SERVICE, Action
from tocsin.metrics import Metrics
from tocsin.service.context import Context
from tocsin.storage import audit, place_index, unfinished
from tocsin.storage import housekeeping as stored
from tocsin.storage.interface import Row, Writing

CHORE: Final = "housekeeping"
EVERY_SECONDS: Final = 600.0
ASK_SECONDS: Final = 60.0
"""How often a process asks whether it is time."""
BREATH_SECONDS: Final = 0.01
"""Between two batches, so that others write, too."""
DAY: Final = 86_400 * SECOND

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Retention:
    """Days; `max_days` is no less than `days`."""

    days: float = 30.0
    max_days: float = 90.0


class Housekeeping:
    def __init__(
        self,
        context: Context,
        metrics: Metrics,
        retention: Retention,
        also: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        """`also`: what else is done each time."""
        self._context = context
        self._metrics = metrics
        self._retention = retention
        self._also = also

    async def run(self) -> None:
        """Tidy up, now and then, until cancelled; of all processes of an installation, one does it."""
        while True:
            try:
                if await self._context.storage.write(self._begin):
                    await self.tidy()
            except Exception as error:
                log.exception("housekeeping_failed", error=type(error).__name__)
            await asyncio.sleep(ASK_SECONDS)

    async def _begin(self, tx: Writing) -> bool:
        return await stored.begin_chore(tx, CHORE, self._context.clock.now(), EVERY_SECONDS)

    async def tidy(self) -> None:
        """Remove everything that is over its age by now, and finish what is unfinished."""
        now = self._context.clock.now()
        before = now - round(self._retention.days * DAY)
        async with self._context.storage.read() as tx:
            logs = await stored.old_logs(tx, before)
        for one in logs:
            await self._tidy_log(one, now)
        await self._context.storage.tidy_attempts(before)
        await self._context.storage.write(partial(stored.remove_remains, before=before, now=now))
        await self.index_places()
        await self._finish()
        for chore in self._also:
            await chore()

    async def index_places(self) -> None:
        """Give cells to the places that have none."""
        while indexed := await self._context.storage.write(place_index.index_some):
            log.info("places_indexed", count=indexed)
            await asyncio.sleep(BREATH_SECONDS)

    async def _finish(self) -> None:
        """Fill in what lists need, in rows from before and in those of older nodes."""
        while finished := await self._context.storage.write(unfinished.finish):
            log.info("rows_finished", count=finished)
            await asyncio.sleep(BREATH_SECONDS)

    async def _tidy_log(self, one: Row, now: int) -> None:
        organization_id = one["organization_id"]
        async with self._context.storage.read() as tx:
            until = await stored.first_since(tx, one, now - round(self._retention.days * DAY))
            last_limit = await stored.first_since(tx, one, now - round(self._retention.max_days * DAY))
            needed = await stored.needed(tx, organization_id)
        if needed is not None and needed < last_limit:
            await self._give_up(organization_id, last_limit, now)
        while removed := await self._context.storage.write(lambda tx: stored.remove_events(tx, organization_id, until)):
            self._metrics.events_removed.inc(removed)
            await asyncio.sleep(BREATH_SECONDS)

    async def _give_up(self, organization_id: str, until: int, now: int) -> None:
        async def change(tx: Writing) -> list[stored.Loss]:
            losses = await stored.give_up(tx, organization_id, until, now)
            for loss in losses:
                details = {"event": loss.event, "first": loss.first, "last": loss.last, "count": loss.count}
                subject = f"webhook:{loss.webhook_id}"
                await audit.record(tx, organization_id, now, SERVICE, Action.EVENTS_LOST, subject, details)
            return losses

        for loss in await self._context.storage.write(change):
            self._metrics.deliveries_lost.inc(loss.count)
            log.error(
                "events_lost",
                organization=organization_id,
                webhook=loss.webhook_id,
                event_type=loss.event,
                first_ordinal=loss.first,
                last_ordinal=loss.last,
                count=loss.count,
            )

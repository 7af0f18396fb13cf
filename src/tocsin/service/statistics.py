"""Figures for whoever watches over the service."""

from tocsin.clock import SECOND
from tocsin.metrics import Metrics
from tocsin.service.context import Context
from tocsin.storage import mails, statistics


class Watch:
    """The process's metrics, with what lies in the database as of now."""

    def __init__(self, context: Context, metrics: Metrics) -> None:
        self._context = context
        self.metrics = metrics

    async def text(self) -> bytes:
        async with self._context.storage.read() as tx:
            found = await statistics.read(tx)
            self.metrics.mails_waiting.set(await mails.waiting(tx))
        metrics, oldest = self.metrics, found.oldest_pending_at
        metrics.appended.set(found.appended)
        metrics.pending.set(found.pending)
        metrics.parked.set(found.parked)
        metrics.open_breakers.set(found.open_breakers)
        metrics.oldest_pending_seconds.set(0 if oldest is None else (self._context.clock.now() - oldest) / SECOND)
        return metrics.text()

"""A change becomes events: one for each organization that hears of it, the same bytes in each log."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tocsin.domain.events import Event
from tocsin.hal.notification import notification
from tocsin.service.context import Context
from tocsin.storage.interface import Writing
from tocsin.storage.records import NewEvent


@dataclass(slots=True)
class Changes:
    """Collects what one transaction changed, and appends it as that transaction's last act.

    Organizations' logs are locked in the order of their ids; the events of one keep the order in which they came.
    """

    context: Context
    _events: list[NewEvent] = field(default_factory=list)

    def add(
        self, event: Event, resource_id: str, representation: bytes, organization_ids: Iterable[str | None]
    ) -> None:
        """`representation`: the resource exactly as GET answers it now; organizations that are None are passed over."""
        body = notification(event, representation)
        for organization_id in sorted({one for one in organization_ids if one is not None}):
            self._events.append(NewEvent(organization_id, event, self.context.new_id(), resource_id, body))

    async def append(self, tx: Writing) -> None:
        await tx.append(sorted(self._events, key=lambda event: event.organization_id))

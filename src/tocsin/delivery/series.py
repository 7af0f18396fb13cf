"""What goes in order by itself at an endpoint: its live events, or one replay. Pure.

Within a series a resource is *claimed* by the delivery of it that is ready or in flight; others of it wait behind.
"""

from collections import deque
from collections.abc import Sequence

from tocsin.delivery.source import Delivery


class Series:
    """Deliveries read and not ended; `ready` ones may start in any number, since each is of another resource."""

    __slots__ = ("in_flight", "queued", "ready", "replay_id", "waiting")

    def __init__(self, replay_id: str) -> None:
        self.replay_id = replay_id
        """Empty: the live events."""
        self.ready: deque[Delivery] = deque()
        self.waiting: dict[str, deque[Delivery] | None] = {}
        """By claimed resource: what waits behind, if anything does."""
        self.queued = 0
        """Read, and neither started nor parked."""
        self.in_flight = 0

    def queue(self, delivery: Delivery) -> None:
        """Ready, or behind what claims its resource."""
        self.queued += 1
        resource_id = delivery.event.resource_id
        if resource_id not in self.waiting:
            self.waiting[resource_id] = None
            self.ready.append(delivery)
        elif (behind := self.waiting[resource_id]) is not None:
            behind.append(delivery)
        else:
            self.waiting[resource_id] = deque([delivery])

    def started(self) -> None:
        self.queued -= 1
        self.in_flight += 1

    def go_on(self, resource_id: str) -> None:
        """The resource's next delivery takes over its claim."""
        behind = self.waiting[resource_id]
        if behind:
            self.ready.append(behind.popleft())
        else:
            del self.waiting[resource_id]

    def give_way(self, resource_id: str) -> Sequence[Delivery]:
        """The resource's claim ends; returns what waited behind."""
        behind = self.waiting.pop(resource_id) or ()
        self.queued -= len(behind)
        return behind

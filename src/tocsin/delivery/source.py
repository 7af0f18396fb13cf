"""A webhook, or a replay of it, as far as one lease has come with it; and its deliveries on their way. Pure.

A cursor moves over what is settled without a gap: what is delivered beyond a gap is remembered until the gap closes.
"""

from collections import deque
from typing import Final

from tocsin.storage.records import LoggedEvent, Stretch, Subscription

READ_LIMIT: Final = 100
"""Events read at a time for one subscription."""


class Source:
    """A webhook, or a replay of it, as far as this lease has come with it."""

    __slots__ = ("cursor", "done", "exhausted", "moved", "order", "read_to", "subscription", "told_end")

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.cursor = subscription.cursor
        self.read_to = subscription.cursor
        self.exhausted = False
        self.moved = False
        self.told_end = False
        """That a replay came to its end is on its way to storage."""
        self.order: deque[int] = deque()
        """Ordinals admitted and not yet behind the cursor, in order."""
        self.done: set[int] = set()
        """Those of `order` that are settled or parked."""

    @property
    def key(self) -> tuple[str, str]:
        return self.subscription.webhook_id, self.subscription.replay_id

    def stretch(self) -> Stretch:
        one = self.subscription
        failed_of = one.webhook_id if one.only_failed else None
        return Stretch(one.organization_id, one.event, self.read_to, READ_LIMIT, failed_of)

    def settle(self, ordinal: int) -> None:
        """The delivery needs nothing more from the log: the cursor may pass it."""
        order, done = self.order, self.done
        if order[0] != ordinal:
            done.add(ordinal)
            return
        self.cursor = order.popleft()
        self.moved = True
        while order and order[0] in done:
            self.cursor = order.popleft()
            done.remove(self.cursor)

    @property
    def uncertain(self) -> bool:
        """Whether something beyond the cursor is settled, by this lease or by one before it."""
        return bool(self.done) or any(ordinal > self.cursor for ordinal in self.subscription.settled)

    @property
    def finished(self) -> bool:
        """A replay whose range is behind it; retries of it may still wait."""
        last = self.subscription.last_ordinal
        return last is not None and not self.order and (self.exhausted or self.read_to >= last)

    @property
    def ending(self) -> bool:
        """Finished, and storage has not been told."""
        return self.finished and not self.told_end


class Delivery:
    """One event on its way to this endpoint for one source."""

    __slots__ = ("event", "failures", "is_probe", "is_retry", "source", "started_at")

    def __init__(self, source: Source, event: LoggedEvent, *, failures: int, is_retry: bool) -> None:
        self.source = source
        self.event = event
        self.failures = failures
        """Attempts that spent the schedule before this one."""
        self.is_retry = is_retry
        self.is_probe = False
        self.started_at = 0

"""Rate limits that count across nodes: tries within a sliding window, in the database.

A try is counted before it is made, under its row's lock, so that many at once are no way around. What is limited is a
name and whoever tries; of them only a hash is stored, and only while it counts. Counted in a transaction of its own:
what the try itself does may fail.
"""

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Final

from tocsin.clock import SECOND
from tocsin.domain.errors import TooManyRequests
from tocsin.service.context import Context
from tocsin.storage import tries
from tocsin.storage.interface import Writing
from tocsin.storage.units import current


@dataclass(frozen=True, slots=True)
class Limit:
    """`quota` tries in any `window_seconds`."""

    name: str
    quota: int
    window_seconds: int


FAILED_LOGINS: Final = Limit("failed-logins", 10, 15 * 60)
"""Of one account from one address. Nobody is locked out by what others try elsewhere."""
REGISTRATIONS: Final = Limit("registrations", 30, 60 * 60)
"""From one address."""
PASSWORD_REQUESTS: Final = Limit("password-requests", 30, 60 * 60)
"""From one address, for whichever accounts."""


class Limits:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def take(self, limit: Limit, *whose: str) -> None:
        """Count one try. Raises TooManyRequests where there is no room for it; then it is not counted."""
        if not self._context.rate_limits:
            return
        now, window = self._context.clock.now(), limit.window_seconds * SECOND

        async def count(tx: Writing) -> int | None:
            """When there is room again; None: there is."""
            found = await tries.find(tx, _hash(limit, whose))
            counted = [moment for moment in found or () if moment > now - window]
            if len(counted) >= limit.quota:
                return counted[0] + window
            await tries.save(tx, _hash(limit, whose), [*counted, now], now + window, new=found is None)
            return None

        with current(None):
            room_at = await self._context.storage.write(count)
        if room_at is not None:
            raise TooManyRequests(
                "Too many tries.",
                limit=limit.name,
                quota=limit.quota,
                window_seconds=limit.window_seconds,
                retry_after_seconds=-(-(room_at - now) // SECOND),
            )

    async def clear(self, limit: Limit, *whose: str) -> None:
        """Forget what was tried."""
        if not self._context.rate_limits:
            return

        async def remove(tx: Writing) -> None:
            await tries.remove(tx, _hash(limit, whose))

        with current(None):
            await self._context.storage.write(remove)

    async def forget(self) -> None:
        """Remove what no longer counts. A chore."""
        while await self._context.storage.write(partial(tries.remove_old, before=self._context.clock.now())):
            pass  # whoever waits to write comes between


def _hash(limit: Limit, whose: tuple[str, ...]) -> bytes:
    return hashlib.sha256("\0".join((limit.name, *whose)).encode()).digest()

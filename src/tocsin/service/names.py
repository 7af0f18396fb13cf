"""Looking a name up when a webhook is made: a courtesy to its owner, the attempt decides."""

import asyncio
from collections.abc import Sequence
from typing import Final

from tocsin.delivery.address import Address
from tocsin.delivery.resolver import Resolver

RESOLVE_SECONDS: Final = 2.0


async def resolved(resolver: Resolver, host: str) -> Sequence[Address]:
    """The name's addresses; none where it does not resolve in time: that is refused at the attempt, not here."""
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            return await resolver.resolve(host)
    except (OSError, UnicodeError, TimeoutError):
        return ()

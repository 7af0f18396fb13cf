"""Decoding and scaling of pictures: work for a processor, done in threads of its own, never inside a transaction.

A picture takes hundreds of megabytes while it is decoded, so few are at once, and not many may wait for their turn.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from tocsin.domain.errors import Invalid, TooLarge, Unavailable, Violation
from tocsin.domain.pictures import TOO_LARGE, Picture, Refusal, read, scaled

T = TypeVar("T")

AT_ONCE_MAX: Final = 2
WAITING_MAX: Final = 64
RETRY_AFTER_SECONDS: Final = 2


class Pictures:
    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(AT_ONCE_MAX, thread_name_prefix="picture")
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)
        self._waiting = 0

    async def read(self, path: str, uri: str) -> Picture | None:
        """The picture in a data URI; None for an empty text. Raises Invalid or TooLarge, with the member's `path`."""
        if uri == "":
            return None
        async with self.turn():
            found = await self._run(lambda: read(uri))
        if isinstance(found, Picture):
            return found
        raise _error(path, found)

    async def scaled(self, picture: Picture, width: int, height: int) -> Picture:
        """To be called within a turn."""
        return await self._run(lambda: scaled(picture, width, height))

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """What is loaded in here is bounded in number. Raises Unavailable where too many wait."""
        if self._waiting >= WAITING_MAX:
            raise Unavailable("Too many pictures are being worked on.", RETRY_AFTER_SECONDS)
        self._waiting += 1
        try:
            async with self._turns:
                yield
        finally:
            self._waiting -= 1

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


def _error(path: str, refusal: Refusal) -> Invalid | TooLarge:
    return TooLarge(refusal, path) if refusal in TOO_LARGE else Invalid(Violation(path, refusal))

"""A unit: what the boundary of a request adds to the transaction of its use case, without the use case knowing.

A use case writes as ever, `storage.write(change)`. Where a unit is current, it is the unit that runs `change`: it may
look first whether the change may happen at all (a precondition, a key that was used before), and, a `Kept` one, holds
the transaction open until the answer is made, so that change and answer commit together or not at all. What is read or
written meanwhile for the same request is of the same transaction.

Both engines' `read` and `write` go through here; outside of a unit they do nothing but what they did.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from typing import Any, Final, Generic, TypeVar

from tocsin.domain.errors import Unavailable
from tocsin.storage.interface import Reading, Writing

T = TypeVar("T")

Change = Callable[[Writing], Awaitable[T]]
Around = Callable[[Writing, Change[Any]], Awaitable[Any]]
"""Runs a change in its transaction, once or not at all; may raise, before or after."""


async def _nothing_else(tx: Writing, change: Change[T]) -> T:
    return await change(tx)


class Unit:
    """Runs `around` the first change of its request. `tx`: the transaction that is open; `over`: nothing follows."""

    def __init__(self, around: Around = _nothing_else) -> None:
        self._around = around
        self.tx: Writing | None = None
        self.over = False

    async def write(self, alone: Callable[[Change[Any]], Awaitable[Any]], change: Change[Any]) -> Any:
        if self.tx is not None:
            return await change(self.tx)

        async def run(tx: Writing) -> Any:
            self.tx = tx
            try:
                return await self._around(tx, change)
            finally:
                self.tx = None

        result = await alone(run)
        self.over = True
        return result


class Kept(Unit, Generic[T]):
    """Commits the change together with the answer to it: `claim` before, `keep` with the answer, of one transaction."""

    def __init__(
        self,
        claim: Callable[[Writing], Awaitable[None]],
        keep: Callable[[Writing, T], Awaitable[None]],
        around: Around = _nothing_else,
    ) -> None:
        super().__init__(around)
        self._claim = claim
        self._keep = keep
        self._task: asyncio.Future[Any] | None = None
        self._answer: asyncio.Future[T] | None = None

    async def write(self, alone: Callable[[Change[Any]], Awaitable[Any]], change: Change[Any]) -> Any:
        """What `change` returned; its transaction stays open until `finish` or `abandon`."""
        if self.tx is not None:
            return await change(self.tx)
        assert self._task is None, "one use case, one transaction"
        loop = asyncio.get_running_loop()
        changed: asyncio.Future[Any] = loop.create_future()
        answered: asyncio.Future[T] = loop.create_future()

        async def run(tx: Writing) -> None:
            if changed.done():
                raise Unavailable("The database was busy.", retry_after_seconds=1)
            self.tx = tx
            await self._claim(tx)
            changed.set_result(await self._around(tx, change))
            await self._keep(tx, await answered)

        self._answer = answered
        self._task = task = asyncio.ensure_future(alone(run))
        await asyncio.wait({task, changed}, return_when=asyncio.FIRST_COMPLETED)
        if not changed.done():
            self.tx = None
            await task
        return changed.result()

    async def finish(self, answer: T) -> None:
        """Commit with the answer. Nothing where nothing was written."""
        if self._task is not None and self._answer is not None:
            self._answer.set_result(answer)
            self.tx = None
            await self._task
        self.over = True

    async def abandon(self) -> None:
        """Leave everything as it was."""
        if self._task is not None:
            self._task.cancel()
            self.tx = None
            await asyncio.wait({self._task})
        self.over = True


_CURRENT: Final[ContextVar[Unit | None]] = ContextVar("unit", default=None)


@contextlib.contextmanager
def current(unit: Unit | None) -> Iterator[None]:
    """Within it, what is written takes the unit along. None: nothing does, as for what must stay whatever follows."""
    before = _CURRENT.get()
    assert unit is not None or before is None or before.tx is None, "a transaction is open already"
    token = _CURRENT.set(unit)
    try:
        yield
    finally:
        _CURRENT.reset(token)


async def write(alone: Callable[[Change[T]], Awaitable[T]], change: Change[T]) -> T:
    """Of an engine whose own `write` is `alone`."""
    unit = _CURRENT.get()
    result: T = await (alone(change) if unit is None or unit.over else unit.write(alone, change))
    return result


def read(alone: Callable[[], AbstractAsyncContextManager[Reading]]) -> AbstractAsyncContextManager[Reading]:
    """Of an engine whose own `read` is `alone`."""
    unit = _CURRENT.get()
    return alone() if unit is None or unit.tx is None else _joined(unit.tx)


@contextlib.asynccontextmanager
async def _joined(tx: Writing) -> AsyncIterator[Reading]:
    yield tx

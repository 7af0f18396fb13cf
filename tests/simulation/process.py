"""A process of a simulated installation, and the one database they share, as far as faults go.

A process may be paused (SIGSTOP), may lose the database for a while, and may die between any two steps. A statement
takes a little time before and after its commit; a fault may strike in either, so that a caller may never learn of a
commit that happened.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final, TypeVar, cast

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from tests.simulation.loop import VirtualClock, VirtualLoop
from tocsin.storage.interface import Writing
from tocsin.storage.schema import metadata
from tocsin.storage.sqlite import DIALECT, Channel, SqliteReading, SqliteWriting
from tocsin.storage.sqlite_log import SqliteLog
from tocsin.storage.statements import Writes

T = TypeVar("T")

LATENCY_SECONDS: Final = 0.003
"""Of a statement, at most, on each side of its commit."""
HINT_SECONDS: Final = 0.05


class DatabaseLost(sqlite3.OperationalError):
    """What a worker meets while its database is away."""


class Database:
    """The file that every process opens; transactions are whole, one after another."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self.connection.row_factory = sqlite3.Row
        engine = create_engine("sqlite://", creator=lambda: self.connection, poolclass=StaticPool)
        metadata.create_all(engine)
        self.connection.execute("PRAGMA synchronous = OFF")
        self.connection.execute("PRAGMA journal_mode = MEMORY")
        self.transactions = 0
        self.before: Callable[..., None] = lambda *_: None
        """Told of the work and its arguments, inside its transaction, before it is done."""
        self.after: Callable[..., None] = lambda *_: None
        """Told of the work, its arguments and its result, before the commit."""

    def transaction(self, work: Callable[..., T], *arguments: Any) -> T:
        self.connection.execute("BEGIN")
        try:
            self.before(work, arguments)
            result = work(self.connection, *arguments)
            self.after(work, arguments, result)
            self.connection.execute("COMMIT")
        finally:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        self.transactions += 1
        return result

    def rows(self, text: str, *arguments: Any) -> Sequence[sqlite3.Row]:
        """For observers."""
        return self.connection.execute(text, arguments).fetchall()


class Process:
    def __init__(self, name: str, loop: VirtualLoop, chance: Random) -> None:
        self.name = name
        self.alive = True
        self.paused_until = 0.0
        self.lost_until = 0.0
        """The database is away until then."""
        self.troubled_at = -1e9
        """When a fault last struck it, or ended."""
        self._loop = loop
        self._chance = chance

    async def step(self) -> None:
        """A moment in which anything may happen."""
        await asyncio.sleep(self._chance.random() * LATENCY_SECONDS)
        if self._loop.time() < self.paused_until:
            await self._resumed()
        if self._loop.time() < self.lost_until:
            raise DatabaseLost("the database is away")

    async def _resumed(self) -> None:
        await asyncio.sleep(self.paused_until - self._loop.time())
        if self._loop.time() < self.paused_until:  # stopped again meanwhile
            await self._resumed()


class _Channel:
    """`sqlite.Channel` without a thread: what is asked for is done at once."""

    def __init__(self, database: Database) -> None:
        self.connection = database.connection

    async def call(self, work: Callable[..., T], *arguments: Any) -> T:
        return work(self.connection, *arguments)


class VirtualStorage(SqliteLog):
    """`interface.Storage` as one process sees it: the real statements, on the shared database."""

    def __init__(self, database: Database, process: Process, clock: VirtualClock) -> None:
        self._database = database
        self._process = process
        self._clock = clock
        self._channel = cast(Channel, _Channel(database))
        self._writes = Writes(DIALECT)
        self.hints: list[Callable[[], None]] = []
        self.on_commit: Callable[[], None] = lambda: None
        """Called after a commit that appended events."""

    async def write_call(self, work: Callable[..., T], *arguments: Any) -> T:
        await self._process.step()
        result = self._database.transaction(work, *arguments)
        await self._process.step()
        return result

    async def read_call(self, work: Callable[..., T], *arguments: Any) -> T:
        await self._process.step()
        result = work(self._database.connection, *arguments)
        await self._process.step()
        return result

    @asynccontextmanager
    async def read(self) -> AsyncIterator[SqliteReading]:
        yield SqliteReading(self._channel, lambda _: None)

    look = read

    async def write(self, change: Callable[[Writing], Awaitable[T]]) -> T:
        """Nothing comes between: no statement of it waits for anything."""
        writing = SqliteWriting(self._channel, self._clock, self._writes)
        try:
            result = await change(writing)
            if self._database.connection.in_transaction:
                self._database.connection.execute("COMMIT")
        finally:
            if self._database.connection.in_transaction:
                self._database.connection.execute("ROLLBACK")
        if writing.appended:
            self.on_commit()
        return result

    def on_append(self, hint: Callable[[], None]) -> None:
        self.hints.append(hint)

    async def watch(self) -> None:
        """Hints come from the world."""

    async def now(self) -> int:
        return self._clock.now()

    async def close(self) -> None:
        """There is nothing to close."""

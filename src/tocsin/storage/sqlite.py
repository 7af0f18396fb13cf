"""SQLite: one file in WAL mode with `synchronous=FULL`, one writer at a time, readers beside it.

Each connection lives in a thread of its own. Writers of this process queue in order for the one writing connection;
writers of other processes are waited for up to `BUSY_SECONDS`. Statements that belong together cross to the thread
together, because the crossing costs more than most statements.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy import Executable, Table
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from tocsin.clock import Clock
from tocsin.domain.errors import Unavailable
from tocsin.storage import units
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.records import NewEvent
from tocsin.storage.sqlite_log import SqliteLog, any_ahead, append_events
from tocsin.storage.statements import Compilations, Query, Writes

T = TypeVar("T")

BUSY_SECONDS: Final = 10.0
READERS: Final = 4
CACHE_KIBIBYTES: Final = 16 * 1024
WATCH_SECONDS: Final = 0.05
"""How often another process's commits are looked for."""
BUSY_WAITS_SECONDS: Final = (0.0005, 0.001, 0.001, 0.002, 0.002, 0.003, 0.005)
"""Between tries for the write lock of another process; the last one is repeated."""

REFUSED_SECONDS: Final = 5
"""When to ask again while the disk is full."""
REFUSALS: Final = {
    sqlite3.SQLITE_FULL: "The database has no room: its disk is full.",
    sqlite3.SQLITE_IOERR: "The database can't be read or written: its disk refuses.",
    sqlite3.SQLITE_CANTOPEN: "The database's files can't be opened.",
}
"""What a disk does to us, by SQLite's error: the transaction is rolled back, and works again when the disk does."""

DIALECT: Final = SQLiteDialect_pysqlite(paramstyle="qmark")
_COMPILATIONS: Final = Compilations(DIALECT)

log = structlog.get_logger(__name__)


def connect(path: Path, *, read_only: bool = False, existing: bool = False) -> sqlite3.Connection:
    """Open one connection with everything set that durability and speed rest on. `existing`: make nothing."""
    name = f"{path.absolute().as_uri()}?mode={'rw' if existing else 'rwc'}"
    connection = sqlite3.connect(name, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)
    connection.row_factory = sqlite3.Row
    if not existing:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIBIBYTES}")
    if read_only or existing:
        connection.execute("PRAGMA query_only = ON")
    return connection


def refusal(error: sqlite3.Error) -> Unavailable | None:
    """What the error says of the disk; None: it says something else."""
    said = REFUSALS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    return None if said is None else Unavailable(said, retry_after_seconds=REFUSED_SECONDS)


class Channel:
    """A connection and the thread that alone uses it."""

    def __init__(self, name: str, connection: sqlite3.Connection) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"sqlite-{name}")
        self.connection = connection

    async def call(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run `work(connection, *arguments)` in the thread. Raises Unavailable where the disk refuses."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, work, self.connection, *arguments)
        except sqlite3.OperationalError as error:
            refused = refusal(error)
            if refused is None:
                raise
            log.error("database_refused", error=str(error))  # noqa: TRY400 # the line of code is not what is wrong
            raise refused from error

    def submit(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Run `work` after what the thread was given before, and before what it is given next; don't wait."""
        self._executor.submit(work, self.connection)

    async def close(self) -> None:
        await self.call(sqlite3.Connection.close)
        self._executor.shutdown()


Begin = Callable[[sqlite3.Connection], None]


def _rows(connection: sqlite3.Connection, begin: Begin, text: str, arguments: Sequence[Any]) -> list[sqlite3.Row]:
    if not connection.in_transaction:
        begin(connection)
    return connection.execute(text, arguments).fetchall()


def _execute(connection: sqlite3.Connection, begin: Begin, text: str, arguments: Sequence[Any]) -> int:
    if not connection.in_transaction:
        begin(connection)
    return connection.execute(text, arguments).rowcount


def _append(connection: sqlite3.Connection, begin: Begin, now: int, events: Sequence[NewEvent]) -> None:
    if not connection.in_transaction:
        begin(connection)
    append_events(connection, now, events)


def _begin_deferred(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")


def _begin_immediate(connection: sqlite3.Connection) -> None:
    """Take the write lock; raises Unavailable after BUSY_SECONDS of somebody else holding it."""
    give_up_at = time.monotonic() + BUSY_SECONDS
    tries = 0
    connection.execute("PRAGMA busy_timeout = 0")
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            if time.monotonic() > give_up_at:
                raise Unavailable("The database is busy.", retry_after_seconds=1) from error
        else:
            return
        time.sleep(BUSY_WAITS_SECONDS[min(tries, len(BUSY_WAITS_SECONDS) - 1)])
        tries += 1


def _commit(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("COMMIT")


def _rollback(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


class SqliteReading:
    """One transaction, begun by its first statement: what it sees does not change while it lasts."""

    def __init__(self, channel: Channel, begin: Begin = _begin_deferred) -> None:
        self._channel = channel
        self._begin = begin

    async def rows(self, query: Query | Executable, **parameters: Any) -> Sequence[Row]:
        text, arguments = _compiled(query, parameters)
        return await self._channel.call(_rows, self._begin, text, arguments)

    async def row(self, query: Query | Executable, **parameters: Any) -> Row | None:
        found = await self.rows(query, **parameters)
        assert len(found) <= 1, "asked for one row, there are several"
        return found[0] if found else None

    async def prepare_to_list(self) -> None:
        """Nothing: without statistics it walks the index that was made for the list."""


class SqliteWriting(SqliteReading):
    """The write transaction."""

    def __init__(self, channel: Channel, clock: Clock, writes: Writes) -> None:
        super().__init__(channel, _begin_immediate)
        self._clock = clock
        self._writes = writes
        self.appended = False

    async def execute(self, query: Query | Executable, **parameters: Any) -> int:
        text, arguments = _compiled(query, parameters)
        return await self._channel.call(_execute, self._begin, text, arguments)

    async def insert(self, table: Table, values: Mapping[str, Any]) -> None:
        compiled = self._writes.insert(table, tuple(values))
        await self._channel.call(_execute, self._begin, compiled.text, compiled.arguments(values))

    async def update(self, table: Table, the_id: str, values: Mapping[str, Any]) -> int:
        compiled = self._writes.update(table, tuple(values))
        arguments = compiled.arguments({**values, "the_id": the_id})
        return await self._channel.call(_execute, self._begin, compiled.text, arguments)

    async def append(self, events: Sequence[NewEvent]) -> None:
        assert not self.appended, "append is the last act of a transaction"
        if events:
            self.appended = True
            await self._channel.call(_append, self._begin, self._clock.now(), list(events))


def _compiled(query: Query | Executable, parameters: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
    if isinstance(query, Query):
        compiled = query.compiled(DIALECT)
        return compiled.text, compiled.arguments(parameters)
    assert not parameters, "a statement that is put together has its values in it"
    return _COMPILATIONS.text(query)


class SqliteStorage(SqliteLog):
    """`interface.Storage` on one file."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._writer = Channel("writer", connect(path))
        self._write_lock = asyncio.Lock()
        readers = [Channel(f"reader-{number}", connect(path, read_only=True)) for number in range(READERS)]
        self._readers = readers
        self._free: asyncio.LifoQueue[Channel] = asyncio.LifoQueue()
        for reader in readers:
            self._free.put_nowait(reader)
        self._writes = Writes(DIALECT)
        self._hints: list[Callable[[], None]] = []

    def read(self) -> AbstractAsyncContextManager[Reading]:
        return units.read(self._read)

    look = read

    @contextlib.asynccontextmanager
    async def _read(self) -> AsyncIterator[Reading]:
        channel = await self._free.get()
        try:
            yield SqliteReading(channel)
        finally:
            channel.submit(_rollback)
            self._free.put_nowait(channel)

    async def write(self, change: Callable[[Writing], Awaitable[T]]) -> T:
        return await units.write(self._write, change)

    async def _write(self, change: Callable[[Writing], Awaitable[T]]) -> T:
        async with self._write_lock:
            writing = SqliteWriting(self._writer, self._clock, self._writes)
            try:
                result = await change(writing)
                await self._writer.call(_commit)
            except BaseException:
                self._writer.submit(_rollback)
                raise
        if writing.appended:
            self._hint()
        return result

    async def write_call(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run `work(connection, *arguments)` in one transaction, in one crossing to the thread."""
        async with self._write_lock:
            return await self._writer.call(_in_transaction, work, *arguments)

    async def read_call(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run `work(connection, *arguments)` in one snapshot, in one crossing to the thread."""
        channel = await self._free.get()
        try:
            return await channel.call(_in_snapshot, work, *arguments)
        finally:
            self._free.put_nowait(channel)

    def on_append(self, hint: Callable[[], None]) -> None:
        self._hints.append(hint)

    async def watch(self) -> None:
        """Hint when another process has appended; runs until it is cancelled."""
        channel = Channel("watcher", connect(self.path, read_only=True))
        seen = -1
        try:
            while True:
                version = await channel.call(_data_version)
                if version != seen and await channel.call(any_ahead):
                    self._hint()
                seen = version
                await asyncio.sleep(WATCH_SECONDS)
        finally:
            await asyncio.shield(channel.close())

    def _hint(self) -> None:
        for hint in self._hints:
            hint()

    async def now(self) -> int:
        return self._clock.now()

    async def close(self) -> None:
        for channel in (self._writer, *self._readers):
            await channel.close()


def _data_version(connection: sqlite3.Connection) -> int:
    """Changes when another connection has committed."""
    version: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return version


def _in_transaction(connection: sqlite3.Connection, work: Callable[..., T], *arguments: Any) -> T:
    _begin_immediate(connection)
    try:
        result = work(connection, *arguments)
        connection.execute("COMMIT")
    finally:
        _rollback(connection)
    return result


def _in_snapshot(connection: sqlite3.Connection, work: Callable[..., T], *arguments: Any) -> T:
    connection.execute("BEGIN")
    try:
        return work(connection, *arguments)
    finally:
        _rollback(connection)

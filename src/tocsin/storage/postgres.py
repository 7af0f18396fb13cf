"""PostgreSQL: any number of processes on any number of machines, and nothing that they share but the database.

Statements go through asyncpg, prepared. A read is one snapshot; a write is READ COMMITTED with the locks that its
statements take, and is run again where the database rolls it back, or where somebody else was quicker with what must be
unique. The clock of everything is the database's: it is asked when connecting, and again every minute.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeVar, cast

import asyncpg
import structlog
from sqlalchemy import Executable, Table
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from tocsin.clock import SECOND, Clock
from tocsin.domain.errors import Unavailable
from tocsin.storage import postgres_partitions as partitions
from tocsin.storage import units
from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.postgres_log import (
    RETRYABLE,
    SQL,
    Connection,
    PostgresLog,
    affected,
    append_events,
)
from tocsin.storage.records import NewEvent
from tocsin.storage.statements import Compilations, Query, Writes

T = TypeVar("T")

CONNECTIONS_MAX: Final = 16
"""Of one process, besides the one that listens."""
CONNECT_SECONDS: Final = 5.0
COMMAND_SECONDS: Final = 30.0
TRIES: Final = 8
"""Of a transaction that is rolled back for others' sake."""
TRY_PAUSE_SECONDS: Final = 0.01
NOTIFY_SECONDS: Final = 0.005
"""At most one NOTIFY in this time."""
RECONNECT_SECONDS: Final = 1.0
CLOCK_SECONDS: Final = 60.0
CLOCKS_APART: Final = SECOND
CHANNEL: Final = "tocsin_appended"
SETTINGS: Final = {"application_name": "tocsin", "idle_in_transaction_session_timeout": "60000", "jit": "off"}
"""No just-in-time compilation: no statement here runs long enough to be worth it, but over a long log the planner
believes so, and compiles for ten milliseconds what takes a tenth of one."""

LISTING: Final = (
    "SET LOCAL enable_seqscan = off; SET LOCAL max_parallel_workers_per_gather = 0;"
    " SET LOCAL plan_cache_mode = force_custom_plan"
)
"""Until the end of the transaction: walk indexes, for the values that are asked for."""

DIALECT: Final = PGDialect_asyncpg()  # type: ignore[no-untyped-call] # SQLAlchemy's
_COMPILATIONS: Final = Compilations(DIALECT)

log = structlog.get_logger(__name__)

LOST: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)
"""What a caller meets while the database restarts, fails over, or is too far away. Whether a commit that was on its way
has happened, nobody knows then."""

REFUSALS: Final = (asyncpg.InsufficientResourcesError, asyncpg.PostgresIOError)
"""Its disk is full or broken: the transaction is rolled back, and works again when the disk does."""
REFUSED_SECONDS: Final = 5


class DatabaseClock:
    """The database's time, without asking for it each time: in between it goes by this machine's monotonic clock, so
    that nobody who sets this machine's clock moves it."""

    def __init__(self, local: Clock) -> None:
        self._local = local
        self._origin = self._local_origin()
        self._measured_at = -CLOCK_SECONDS
        self._origin_then = self._origin

    def now(self) -> int:
        return self._origin + self._elapsed()

    def monotonic(self) -> float:
        return self._local.monotonic()

    def _elapsed(self) -> int:
        return round(self._local.monotonic() * SECOND)

    def _local_origin(self) -> int:
        """When the monotonic clock was 0, by this machine's clock. It moves when that is set, or the machine slept."""
        return self._local.now() - self._elapsed()

    def due(self) -> bool:
        """Whether it is time to measure: now and then, and at once when this machine's clocks went apart."""
        aged = self._local.monotonic() - self._measured_at >= CLOCK_SECONDS
        return aged or abs(self._local_origin() - self._origin_then) > CLOCKS_APART

    async def measure(self, connection: Connection) -> None:
        if not self.due():
            return
        before = self._elapsed()
        there = await connection.fetchval(SQL["clock"].text)
        self._origin = there - (before + self._elapsed()) // 2
        self._measured_at, self._origin_then = self._local.monotonic(), self._local_origin()


class PostgresReading:
    """One snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def rows(self, query: Query | Executable, **parameters: Any) -> Sequence[Row]:
        text, arguments = _compiled(query, parameters)
        found = await self._connection.fetch(text, *arguments)
        return cast(Sequence[Row], found)

    async def row(self, query: Query | Executable, **parameters: Any) -> Row | None:
        found = await self.rows(query, **parameters)
        assert len(found) <= 1, "asked for one row, there are several"
        return found[0] if found else None

    async def prepare_to_list(self) -> None:
        """Its estimates make whole tables look cheap, for a search above all, and a list of one organization pays for
        every organization's rows then."""
        await self._connection.execute(LISTING)


class PostgresWriting(PostgresReading):
    """The write transaction."""

    def __init__(self, connection: Connection, clock: Clock, writes: Writes) -> None:
        super().__init__(connection)
        self._clock = clock
        self._writes = writes
        self.appended = False

    async def execute(self, query: Query | Executable, **parameters: Any) -> int:
        text, arguments = _compiled(query, parameters)
        return affected(await self._connection.execute(text, *arguments))

    async def insert(self, table: Table, values: Mapping[str, Any]) -> None:
        compiled = self._writes.insert(table, tuple(values))
        await self._connection.execute(compiled.text, *compiled.arguments(values))

    async def update(self, table: Table, the_id: str, values: Mapping[str, Any]) -> int:
        compiled = self._writes.update(table, tuple(values))
        arguments = compiled.arguments({**values, "the_id": the_id})
        return affected(await self._connection.execute(compiled.text, *arguments))

    async def append(self, events: Sequence[NewEvent]) -> None:
        assert not self.appended, "append is the last act of a transaction"
        if events:
            self.appended = True
            await append_events(self._connection, self._clock.now(), events)


async def _leave_as_it_is(_: Connection) -> None:
    """Nothing to undo: nobody leaves a setting, a lock or a cursor behind. Saves a statement each time."""


def _compiled(query: Query | Executable, parameters: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
    if isinstance(query, Query):
        compiled = query.compiled(DIALECT)
        return compiled.text, compiled.arguments(parameters)
    assert not parameters, "a statement that is put together has its values in it"
    return _COMPILATIONS.text(query)


class PostgresStorage(PostgresLog):
    """`interface.Storage` on one database. Connects at the first use."""

    def __init__(self, database_url: str, clock: Clock) -> None:
        self._url = database_url
        self._clock = clock
        self._pool: Any = None
        self._connecting = asyncio.Lock()
        self._writes = Writes(DIALECT)
        self._hints: list[Callable[[], None]] = []
        self._telling: asyncio.Task[None] | None = None
        self.endpoints_of_a_head = 1
        """In about how many endpoints what was noticed last has a webhook."""

    async def _connected(self) -> Any:
        async with self._connecting:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=1,
                    max_size=CONNECTIONS_MAX,
                    timeout=CONNECT_SECONDS,
                    command_timeout=COMMAND_SECONDS,
                    server_settings=SETTINGS,
                    reset=_leave_as_it_is,
                )
        return self._pool

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection of the pool. Raises Unavailable while the database can't be reached."""
        try:
            pool = self._pool or await self._connected()
            acquired = await pool.acquire(timeout=CONNECT_SECONDS)
        except LOST as error:
            raise Unavailable("The database can't be reached.", retry_after_seconds=1) from error
        try:
            if isinstance(self._clock, DatabaseClock):
                await self._clock.measure(acquired)
            yield acquired
        except LOST as error:
            raise Unavailable("The database was lost.", retry_after_seconds=1) from error
        except REFUSALS as error:
            log.error("database_refused", error=str(error))  # noqa: TRY400 # the line of code is not what is wrong
            raise Unavailable("The database has no room, or no memory.", retry_after_seconds=REFUSED_SECONDS) from error
        finally:
            with contextlib.suppress(*LOST):
                await pool.release(acquired)

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        async with self.connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection

    def read(self) -> AbstractAsyncContextManager[Reading]:
        return units.read(self._read)

    @contextlib.asynccontextmanager
    async def _read(self) -> AsyncIterator[Reading]:
        async with self.snapshot() as connection:
            yield PostgresReading(connection)

    def look(self) -> AbstractAsyncContextManager[Reading]:
        return units.read(self._look)

    @contextlib.asynccontextmanager
    async def _look(self) -> AsyncIterator[Reading]:
        async with self.connection() as connection:
            yield PostgresReading(connection)

    async def transaction(self, change: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `change` and commit; again where it is rolled back for the sake of others."""

        async def run(connection: Connection) -> T:
            async with connection.transaction():
                return await change(connection)

        return await self._tried(run)

    async def alone(self, name: str, **parameters: Any) -> Sequence[Any]:
        """The rows of one named statement, which is a transaction by itself."""
        statement = SQL[name]
        arguments = statement.arguments(parameters)
        return await self._tried(lambda connection: connection.fetch(statement.text, *arguments))

    async def _tried(self, run: Callable[[Connection], Awaitable[T]]) -> T:
        for tried in range(1, TRIES + 1):
            try:
                async with self.connection() as connection:
                    return await run(connection)
            except RETRYABLE:
                if tried == TRIES:
                    raise
                await asyncio.sleep(TRY_PAUSE_SECONDS * tried)
            except asyncpg.CheckViolationError as error:
                day = partitions.missing(error)
                if day is None or tried == TRIES:
                    raise
                await self._make_partitions([day])
        raise AssertionError("unreachable")

    async def write(self, change: Callable[[Writing], Awaitable[T]]) -> T:
        return await units.write(self._write, change)

    async def _write(self, change: Callable[[Writing], Awaitable[T]]) -> T:
        appended = False

        async def run(connection: Connection) -> T:
            nonlocal appended
            writing = PostgresWriting(connection, self._clock, self._writes)
            result = await change(writing)
            appended = writing.appended
            return result

        result = await self.transaction(run)
        if appended:
            self._hint()
            self._tell_others()
        return result

    def on_append(self, hint: Callable[[], None]) -> None:
        self._hints.append(hint)

    def _hint(self) -> None:
        for hint in self._hints:
            hint()

    def _tell_others(self) -> None:
        """NOTIFY, after the commit and outside of it: in it, commits would wait for each other."""
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._notify())

    async def _notify(self) -> None:
        await asyncio.sleep(NOTIFY_SECONDS)
        with contextlib.suppress(Unavailable, asyncpg.PostgresError):
            async with self.connection() as connection:
                await connection.execute(f"NOTIFY {CHANNEL}")

    async def watch(self) -> None:
        """Hint when another process has appended; runs until it is cancelled. Listens anew when its connection is lost:
        a hint that is missed meanwhile costs a worker's poll, nothing else."""
        while True:
            try:
                await self._listen()
            except (*LOST, asyncpg.PostgresError) as error:
                log.warning("listening_lost", error=type(error).__name__)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(self._url, timeout=CONNECT_SECONDS, server_settings=SETTINGS)
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            await connection.add_listener(CHANNEL, lambda *_: self._hint())
            self._hint()
            await lost.wait()
        finally:
            connection.terminate()

    async def _make_partitions(self, days: Iterable[int]) -> None:
        async with self.connection() as connection:
            await partitions.make(connection, days)

    async def tidy_attempts(self, before: int) -> None:
        """Whole days: those to come get their partition, those that are over lose it when no event that is kept
        occurred before their end."""
        today = self._clock.now() // partitions.DAY
        await self._make_partitions(range(today, today + partitions.AHEAD_DAYS))
        async with self.connection() as connection:
            oldest = await connection.fetchval(SQL["oldest_event"].text)
            await partitions.drop(connection, before if oldest is None else min(before, oldest))

    async def now(self) -> int:
        async with self.connection():
            return self._clock.now()

    async def close(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
        if self._pool is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    await self._pool.close()
            self._pool.terminate()

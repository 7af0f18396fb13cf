"""PostgreSQL: any number of processes on any number of machines, and nothing that they share but the database.

Statements go through asyncpg, prepared. A read is one snapshot; a write is READ COMMITTED with the locks that its
statements take, and is run again where the database rolls it back, or where somebody else was quicker with what must be
unique. The clock of leases is the database's: its distance from this machine's is measured when connecting, and again
every minute.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

import asyncpg
import structlog
from sqlalchemy import Executable, Table
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from tocsin.clock import Clock
from tocsin.domain.errors import Unavailable
from tocsin.storage import postgres_partitions as partitions
from tocsin.storage.interface import Row, Writing
from tocsin.storage.postgres_log import RETRYABLE, SQL, Connection, PostgresLog, affected, append_events
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
CHANNEL: Final = "tocsin_appended"
SETTINGS: Final = {"application_name": "tocsin", "idle_in_transaction_session_timeout": "60000"}

LISTING: Final = (
    "SET LOCAL enable_seqscan = off; SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0;"
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


class DatabaseClock:
    """The database's time, without asking for it each time."""

    def __init__(self, local: Clock) -> None:
        self._local = local
        self._ahead = 0
        self._measured_at = -CLOCK_SECONDS

    def now(self) -> int:
        return self._local.now() + self._ahead

    def monotonic(self) -> float:
        return self._local.monotonic()

    async def measure(self, connection: Connection) -> None:
        """How far the database's clock is ahead of this machine's, in microseconds."""
        if time.monotonic() - self._measured_at < CLOCK_SECONDS:
            return
        before = self._local.now()
        there = await connection.fetchval("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
        self._ahead = there - (before + self._local.now()) // 2
        self._measured_at = time.monotonic()


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
        finally:
            with contextlib.suppress(*LOST):
                await pool.release(acquired)

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        async with self.connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[PostgresReading]:
        async with self.snapshot() as connection:
            yield PostgresReading(connection)

    async def transaction(self, change: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `change` and commit; again where it is rolled back for the sake of others."""
        for tried in range(1, TRIES + 1):
            try:
                async with self.connection() as connection, connection.transaction():
                    return await change(connection)
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

"""What an engine gives: transactions for resources, and the log with its deliveries.

Resources are read and written with SQLAlchemy Core statements inside `read` and `write`. Everything about events,
endpoints, cursors and attempts goes through the methods below, which each engine implements in its own words.
Times are whole microseconds; "now" is the database's clock, never the caller's.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from sqlalchemy import Executable, Table

from tocsin.storage.records import NewEvent, ReadAnswer, ReadRequest, Revisions, Settled, Settlement, Taken
from tocsin.storage.statements import Query

T = TypeVar("T")


class Row(Protocol):
    """A row by its columns' names (sqlite3.Row and asyncpg.Record both are one)."""

    def __getitem__(self, key: str, /) -> Any: ...

    def keys(self) -> Any: ...


class Reading(Protocol):
    """A consistent view of the database."""

    async def rows(self, query: Query | Executable, **parameters: Any) -> Sequence[Row]:
        """Every row. A Query is compiled once; any other statement each time."""
        ...

    async def row(self, query: Query | Executable, **parameters: Any) -> Row | None:
        """The only row, or None. Asserts that there are not two."""
        ...

    async def prepare_to_list(self) -> None:
        """Pages of long lists are read next: an engine that chooses between walking an index and reading whole tables
        has to walk."""
        ...


class Writing(Reading, Protocol):
    """A transaction. Take locks in one order: feedback, reports, operations, then the log, each by id."""

    async def execute(self, query: Query | Executable, **parameters: Any) -> int:
        """Change rows; returns how many."""
        ...

    async def insert(self, table: Table, values: Mapping[str, Any]) -> None: ...

    async def update(self, table: Table, the_id: str, values: Mapping[str, Any]) -> int:
        """Change the columns in `values` of the row with this id; returns 0 or 1."""
        ...

    async def append(self, events: Sequence[NewEvent]) -> None:
        """Put events at the end of their organizations' logs: gap-free, in commit order. The last act before commit."""
        ...


class Storage(Protocol):
    """One database. Made by `app.open_storage`, the only place that chooses an engine."""

    def read(self) -> AbstractAsyncContextManager[Reading]: ...

    def look(self) -> AbstractAsyncContextManager[Reading]:
        """As `read`, for a single statement: what it sees is consistent without a transaction around it."""
        ...

    async def write(self, change: Callable[[Writing], Awaitable[T]]) -> T:
        """Run `change` in a transaction and commit; again if the database rolled it back for a deadlock.

        `change` must have no effect but on its transaction. Raises what it raises, with nothing changed.
        Where a unit is current (`storage.units`), that takes part in it.
        """
        ...

    def on_append(self, hint: Callable[[], None]) -> None:
        """Call `hint` from the event loop after commits that appended events: soon, perhaps once for several."""
        ...

    async def watch(self) -> None:
        """Call the hints when another process appended, too; runs until it is cancelled."""
        ...

    async def take(self, owner: str, limit: int, failing_limit: int, seconds: float) -> Taken:
        """Notice what was appended, and lease due endpoints, each with its enabled webhooks and running replays.

        Those that have a webhook for what was appended become due, or are told to look `again` while they are leased.
        Leased are, longest due first, up to `limit` whose last attempt succeeded (or that are new), and up to
        `failing_limit` others.
        """
        ...

    async def fetch(self, requests: Sequence[ReadRequest]) -> Sequence[ReadAnswer]:
        """What the requests ask for. What was appended after a change of its webhook comes with the new revision."""
        ...

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[Settled]:
        """Write results in one transaction, each endpoint's conditional on its lease token. At most one for each."""
        ...

    async def renew(self, tokens: Mapping[str, str], seconds: float) -> frozenset[str]:
        """Prolong the leases {endpoint_id: token}; returns the endpoints whose lease is lost."""
        ...

    async def revisions(self, endpoint_ids: Sequence[str]) -> Mapping[str, Revisions]:
        """Of every endpoint asked for, as they are now."""
        ...

    async def tidy_attempts(self, before: int) -> None:
        """Remove attempts made before the moment `before` whose event is gone (or whose webhook), in small
        transactions; and make room for those to come, where an engine needs that."""
        ...

    async def end_leases(self, owners: Iterable[str]) -> None:
        """End the leases of local processes that are dead, so that nobody waits for them to run out."""
        ...

    async def next_due_at(self) -> int | None:
        """When the earliest endpoint becomes due; None while all are idle."""
        ...

    async def now(self) -> int:
        """The database's clock."""
        ...

    async def close(self) -> None: ...

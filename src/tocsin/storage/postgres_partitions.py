"""Attempts on PostgreSQL lie in a partition for each day (UTC) of `started_at`: made ahead, and dropped whole when
everything that could refer to them is gone.

A row for which there is no partition (the clock jumped, or nobody kept house for long) is not lost: its transaction is
rolled back, the partition made, and the transaction run again.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg

from tocsin.clock import SECOND
from tocsin.storage.postgres_log import SQL, Connection

DAY: Final = 86_400 * SECOND
AHEAD_DAYS: Final = 14
PREFIX: Final = "attempts_"
_FAILING: Final = re.compile(r"\(started_at\) = \((-?\d+)\)")
_LOCKED: Final = asyncpg.LockNotAvailableError


def name_of(day: int) -> str:
    """Of the partition of a day, counted from 1970-01-01."""
    return f"{PREFIX}{datetime.fromtimestamp(day * DAY // SECOND, UTC):%Y%m%d}"


def day_of(name: str) -> int:
    return int(datetime.strptime(name.removeprefix(PREFIX), "%Y%m%d").replace(tzinfo=UTC).timestamp()) * SECOND // DAY


def missing(error: asyncpg.CheckViolationError) -> int | None:
    """The day for which a row found no partition; None: the error says something else."""
    found = _FAILING.search(error.detail or "") if error.table_name == "attempts" else None
    return int(found[1]) // DAY if found else None


async def days(connection: Connection) -> list[int]:
    """Those that have a partition, in order."""
    return sorted(day_of(row["name"]) for row in await connection.fetch(SQL["partitions"].text))


async def make(connection: Connection, wanted: Iterable[int]) -> None:
    """Those that are not there yet. Attaching one takes no lock that a reader or a writer would wait for."""
    for day in sorted(set(wanted) - set(await days(connection))):
        bounds: dict[str, Any] = {"name": name_of(day), "begin": day * DAY, "end": (day + 1) * DAY}
        async with connection.transaction():
            await connection.execute(SQL["lock_partitions"].text)
            if day not in await days(connection):
                await connection.execute(SQL["make_partition"].text.format(**bounds))
                await connection.execute(SQL["attach_partition"].text.format(**bounds))


async def drop(connection: Connection, before: int) -> None:
    """Those that end at the moment `before` or earlier. One that is in use for too long is left for another time."""
    for day in await days(connection):
        if (day + 1) * DAY <= before:
            try:
                async with connection.transaction():
                    await connection.execute(SQL["lock_partitions"].text)
                    await connection.execute(SQL["drop_partition"].text.format(name=name_of(day)))
            except _LOCKED:
                return

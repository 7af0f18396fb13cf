"""A SQLite file, looked at: the file, its directory, and how commits reach the disk.

It is opened without being created, and as `query_only`: whoever closes it last leaves no files behind.
"""

import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tocsin.domain.diagnosis import Finding, severe, warning, well
from tocsin.domain.errors import Unavailable
from tocsin.storage.sqlite import Channel, SqliteReading, connect
from tocsin.storage.sqlite_log import SQL

VERSION_MIN: Final = (3, 35, 0)
"""RETURNING."""
FULL: Final = 2
"""`synchronous`: each commit is synced."""


@asynccontextmanager
async def examining(path: Path) -> AsyncIterator["SqliteExamination"]:
    """Raises Unavailable where there is no such file, no database in it, or one that can't be read."""
    channel = _open(path)
    try:
        yield SqliteExamination(path, channel)
    except sqlite3.Error as error:
        raise Unavailable(f"{path} can't be read: {error}.", retry_after_seconds=1) from error
    finally:
        await channel.close()


def _open(path: Path) -> Channel:
    if not path.exists():
        raise Unavailable(f"There is no file {path}.", retry_after_seconds=1)
    try:
        return Channel("doctor", connect(path, existing=True))
    except sqlite3.Error as error:
        raise Unavailable(f"{path} can't be opened: {error}.", retry_after_seconds=1) from error


class SqliteExamination:
    def __init__(self, path: Path, channel: Channel) -> None:
        self._path = path
        self._channel = channel

    @asynccontextmanager
    async def read(self) -> AsyncIterator[SqliteReading]:
        try:
            yield SqliteReading(self._channel)
        finally:
            await self._channel.call(_end)

    async def engine(self) -> Sequence[Finding]:
        return [_version(), *await self._channel.call(_durability), self._access()]

    async def upkeep(self) -> Sequence[Finding]:
        return []

    def _access(self) -> Finding:
        for path in (self._path, self._path.absolute().parent):
            if not os.access(path, os.W_OK):
                advice = "Run tocsin as the user who owns it, or change its owner: SQLite keeps files beside it."
                return severe("access", f"{path} can't be written by this user.", advice)
        return well("access", f"{self._path} and its directory can be written.")


def _end(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _version() -> Finding:
    found = f"SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info < VERSION_MIN:
        needed = ".".join(map(str, VERSION_MIN))
        return severe("database", f"{found} is too old.", f"Use a Python whose SQLite is {needed} or newer.")
    return well("database", f"{found}, {'.'.join(map(str, VERSION_MIN))} or newer.")


def _durability(connection: sqlite3.Connection) -> list[Finding]:
    mode = connection.execute(SQL["journal_mode"]).fetchone()[0]
    synchronous = connection.execute(SQL["synchronous"]).fetchone()[0]
    if synchronous < FULL:
        advice = "This SQLite does not sync commits: use another build of it."
        return [severe("durability", f"synchronous is {synchronous}: acknowledged changes can be lost.", advice)]
    if mode != "wal":
        advice = "serve sets it as it starts (of a restored backup, too); where it can't, the disk is no local one."
        return [
            warning("durability", f"journal_mode is {mode}, not wal: readers and writers wait for each other.", advice)
        ]
    return [well("durability", "journal_mode is wal, synchronous is full: each commit is synced.")]

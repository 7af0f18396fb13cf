"""A PostgreSQL database, looked at by one connection whose transactions are all read-only."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from tocsin.clock import SECOND, Clock
from tocsin.domain.diagnosis import Finding, severe, warning, well
from tocsin.domain.errors import Unavailable
from tocsin.storage import postgres_partitions as partitions
from tocsin.storage.postgres import CONNECT_SECONDS, CONNECTIONS_MAX, SETTINGS, PostgresReading
from tocsin.storage.postgres_log import SQL, Connection

VERSION_MIN: Final = 14
SKEW_SECONDS: Final = 1.0
SKEW_SEVERE_SECONDS: Final = 60.0
"""Receivers refuse signatures that are older or younger than five minutes: the clock that is wrong is the database's or
ours, and we go by the database's."""
AHEAD_DAYS: Final = 2
"""Housekeeping makes many more; a day without a partition costs its first attempt a transaction that is run again."""
READ_ONLY: Final = {**SETTINGS, "default_transaction_read_only": "on"}


@asynccontextmanager
async def examining(database_url: str, clock: Clock) -> AsyncIterator["PostgresExamination"]:
    """Raises Unavailable where the database can't be reached, does not let us in, or refuses to answer."""
    try:
        connection = await asyncpg.connect(database_url, timeout=CONNECT_SECONDS, server_settings=READ_ONLY)
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        said = str(error) or "no answer in time"
        raise Unavailable(f"PostgreSQL can't be reached: {said}", retry_after_seconds=1) from error
    try:
        yield PostgresExamination(connection, clock)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unavailable(f"PostgreSQL refuses to answer: {error}.", retry_after_seconds=1) from error
    finally:
        connection.terminate()


class PostgresExamination:
    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    @asynccontextmanager
    async def read(self) -> AsyncIterator[PostgresReading]:
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            yield PostgresReading(self._connection)

    async def engine(self) -> Sequence[Finding]:
        row = await self._connection.fetchrow(SQL["examine"].text)
        return [*judge(row), await self._skew()]

    async def upkeep(self) -> Sequence[Finding]:
        today = self._clock.now() // partitions.DAY
        there = set(await partitions.days(self._connection))
        ahead = next(count for count in range(len(there) + 1) if today + count not in there)
        found = f"Attempts have a partition for {ahead} days from today on."
        if ahead >= AHEAD_DAYS:
            return [well("partitions", found)]
        advice = "Housekeeping makes them: is a worker running, and does its log say housekeeping_failed?"
        return [warning("partitions", found, advice)]

    async def _skew(self) -> Finding:
        before = self._clock.now()
        there = await self._connection.fetchval(SQL["clock"].text)
        seconds = (there - (before + self._clock.now()) // 2) / SECOND
        return skew(seconds)


def judge(row: Any) -> list[Finding]:
    """What the statement `examine` gave."""
    return [_version(row), *_durability(row), _standbys(row), _connections(row)]


def skew(seconds: float) -> Finding:
    """`seconds`: how far the database's clock is ahead of this machine's."""
    if abs(seconds) <= SKEW_SECONDS:
        return well("clock", "This machine's clock and the database's agree.")
    found = f"The database's clock is {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this machine's."
    advice = "Let both machines keep time (chrony, systemd-timesyncd): receivers refuse signatures five minutes old."
    return (severe if abs(seconds) > SKEW_SEVERE_SECONDS else warning)("clock", found, advice)


def _version(row: Any) -> Finding:
    found = f"PostgreSQL {row['version']}"
    if row["version_num"] // 10_000 < VERSION_MIN:
        return severe("database", f"{found} is too old.", f"Upgrade it to {VERSION_MIN} or newer.")
    return well("database", f"{found}, {VERSION_MIN} or newer.")


LOSES: Final = {
    "fsync": "Set fsync = on: a crash of the database's machine can destroy everything.",
    "full_page_writes": "Set full_page_writes = on, unless its file system never writes half a page (ZFS).",
    "synchronous_commit": "Set synchronous_commit = on: a crash loses what was acknowledged just before it.",
}
"""What is to be done about each setting that is off."""


def _durability(row: Any) -> list[Finding]:
    off = [severe("durability", f"{name} is off.", advice) for name, advice in LOSES.items() if row[name] == "off"]
    if row["is_standby"]:
        advice = "Name the primary in TOCSIN_DATABASE_URL (target_session_attrs=read-write tries several hosts)."
        off.append(severe("durability", "This is a standby: nothing can be written.", advice))
    values = ", ".join(f"{name} is {row[name]}" for name in LOSES)
    return off or [well("durability", f"{values}.")]


SURVIVES: Final = ("on", "remote_apply", "remote_write")
"""Of synchronous_commit: a commit waits for the synchronous standby."""


def _standbys(row: Any) -> Finding:
    names, level = row["standby_names"], row["synchronous_commit"]
    if names and level not in SURVIVES:
        advice = "Set synchronous_commit = on, or failing over loses acknowledged changes."
        return warning("standby", f"synchronous_commit is {level}: commits don't wait for the standby.", advice)
    if names:
        return well("standby", f"Commits wait for a synchronous standby ({names}).")
    if row["standbys"]:
        advice = "Name one in synchronous_standby_names, or failing over loses what was acknowledged just before."
        return warning("standby", f"{row['standbys']} connected, none of them synchronous.", advice)
    return well("standby", "There is none: if the database's disk is lost, its last backup is what is left.")


def _connections(row: Any) -> Finding:
    left, needed = row["connections_left"], CONNECTIONS_MAX + 1
    if left >= needed:
        return well("connections", f"{left} more are allowed; a process uses up to {needed}.")
    return warning("connections", f"{left} more are allowed; a process uses up to {needed}.", "Raise max_connections.")

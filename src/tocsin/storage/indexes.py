"""Indexes of lists: those that the schema marks so are there, and those that they have replaced are gone.

On PostgreSQL each is built CONCURRENTLY, outside of any transaction: others read and write meanwhile. One that was left
half-built, by a process that died, is dropped and built again. Whoever builds holds an advisory lock of the session;
who wants to build, too, asks for it again and again instead of waiting in a statement, because a waiting statement has
a snapshot, and building waits for every snapshot.
"""

import time
from typing import Final

from sqlalchemy import Connection, Index, text
from sqlalchemy.schema import CreateIndex

from tocsin.storage.schema import metadata
from tocsin.storage.statements import load

ADVISORY_LOCK: Final = 0x746F6373696F
"""Another than that of the migrations: older nodes wait for that one inside of a statement."""
ASK_SECONDS: Final = 0.2
REPLACED: Final = (
    "ix_reports_organization_id_created_at",
    "ix_reports_organization_id_state_created_at",
    "ix_reports_organization_id_updated_at",
    "ix_operations_organization_id_created_at",
    "ix_operations_organization_id_updated_at",
)

_SQL: Final = load("postgres")


def listings() -> list[Index]:
    """Every index of a list, by name."""
    marked = [index for table in metadata.tables.values() for index in table.indexes if index.info.get("listing")]
    return sorted(marked, key=lambda index: str(index.name))


def build_at_once(connection: Connection) -> None:
    """All of them, in the connection's transaction: where nobody else writes meanwhile anyway."""
    for index in listings():
        connection.execute(CreateIndex(index, if_not_exists=True))
    for name in REPLACED:
        connection.execute(text(load("sqlite")["drop_index"].format(name=name)))


def build(connection: Connection) -> None:
    """What is missing, beside writing; waits for another process that builds. `connection` commits each statement."""
    while _missing(connection):
        if connection.execute(text(_SQL["try_to_build"]), {"key": ADVISORY_LOCK}).scalar_one():
            try:
                _build(connection)
            finally:
                connection.execute(text(_SQL["stop_building"]), {"key": ADVISORY_LOCK})
        else:
            time.sleep(ASK_SECONDS)


def _missing(connection: Connection) -> list[Index]:
    valid = set(connection.execute(text(_SQL["valid_indexes"])).scalars())
    return [index for index in listings() if index.name not in valid]


def _build(connection: Connection) -> None:
    for index in _missing(connection):
        connection.execute(text(_SQL["drop_index"].format(name=index.name)))
        statement = str(CreateIndex(index).compile(dialect=connection.dialect))
        connection.execute(text(statement.replace("INDEX ", "INDEX CONCURRENTLY ", 1)))
    for name in REPLACED:
        connection.execute(text(_SQL["drop_index"].format(name=name)))

"""What counts against a rate limit: the moments of the tries of one somebody, in one row."""

import json
from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam, delete, select, update

from tocsin.storage.interface import Writing
from tocsin.storage.schema import tries
from tocsin.storage.statements import Query

BATCH: Final = 1000
"""Rows removed in one transaction."""

_FIND = Query(select(tries).where(tries.c.hash == bindparam("hash")).with_for_update())
_CHANGE = Query(
    update(tries)
    .where(tries.c.hash == bindparam("hash"))
    .values(moments=bindparam("moments"), expires_at=bindparam("expires_at"))
)
_REMOVE = Query(delete(tries).where(tries.c.hash == bindparam("hash")))
_OLD = select(tries.c.hash).where(tries.c.expires_at < bindparam("before")).limit(BATCH)
_REMOVE_OLD = Query(delete(tries).where(tries.c.hash.in_(_OLD)))


async def find(tx: Writing, the_hash: bytes) -> list[int] | None:
    """Their moments, oldest first; locked. None: there is no row that could be."""
    row = await tx.row(_FIND, hash=the_hash)
    return None if row is None else list(json.loads(row["moments"]))


async def save(tx: Writing, the_hash: bytes, moments: Sequence[int], expires_at: int, *, new: bool) -> None:
    """`new`: none was found. Where somebody else has made it since, the transaction is run again, and counts theirs."""
    values = {"hash": the_hash, "moments": json.dumps(list(moments)), "expires_at": expires_at}
    if new:
        await tx.insert(tries, values)
    else:
        await tx.execute(_CHANGE, **values)


async def remove(tx: Writing, the_hash: bytes) -> None:
    await tx.execute(_REMOVE, hash=the_hash)


async def remove_old(tx: Writing, before: int) -> int:
    """At most BATCH; returns how many."""
    return await tx.execute(_REMOVE_OLD, before=before)

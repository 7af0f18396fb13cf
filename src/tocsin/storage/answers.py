"""Answers that are kept for their Idempotency-Key: one row for each, written in the transaction of the change."""

from typing import Final

from sqlalchemy import bindparam, delete, select, update

from tocsin.storage.interface import Reading, Row, Writing
from tocsin.storage.schema import answers
from tocsin.storage.statements import Query

BATCH: Final = 1000
"""Rows removed in one transaction."""

_FIND = Query(select(answers).where(answers.c.hash == bindparam("hash")))
_REMOVE_EXPIRED = Query(
    delete(answers).where(answers.c.hash == bindparam("hash"), answers.c.created_at < bindparam("before"))
)
_KEEP = Query(update(answers).where(answers.c.hash == bindparam("hash")).values(answer=bindparam("answer")))
_OLD = select(answers.c.hash).where(answers.c.created_at < bindparam("before")).limit(BATCH)
_REMOVE_OLD = Query(delete(answers).where(answers.c.hash.in_(_OLD)))


async def find(tx: Reading, the_hash: bytes) -> Row | None:
    return await tx.row(_FIND, hash=the_hash)


async def claim(tx: Writing, the_hash: bytes, caller: str, at: int, before: int) -> None:
    """The key is ours until the transaction ends; whoever comes with it meanwhile waits, and then finds the answer.

    An answer of before `before` makes room. A younger one, committed since it was looked for, stays, and this fails.
    """
    await tx.execute(_REMOVE_EXPIRED, hash=the_hash, before=before)
    await tx.insert(answers, {"hash": the_hash, "caller": caller, "answer": b"", "created_at": at})


async def keep(tx: Writing, the_hash: bytes, answer: bytes) -> None:
    await tx.execute(_KEEP, hash=the_hash, answer=answer)


async def remove_old(tx: Writing, before: int) -> int:
    """At most BATCH; returns how many."""
    return await tx.execute(_REMOVE_OLD, before=before)

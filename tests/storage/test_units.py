"""What takes part in a transaction commits with it, or not at all."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from tests.conftest import Service, both_engines
from tocsin.storage.interface import Storage, Writing
from tocsin.storage.schema import answers, chores
from tocsin.storage.units import Kept, Unit, current

pytestmark = [pytest.mark.anyio, both_engines]


@pytest.fixture
def storage(service: Service) -> Storage:
    return service.use_cases.context.storage


async def names(storage: Storage) -> set[str]:
    async with storage.read() as tx:
        return {row["name"] for row in await tx.rows(select(chores))} - {"housekeeping"}


async def kept(storage: Storage) -> list[bytes]:
    async with storage.read() as tx:
        return [row["answer"] for row in await tx.rows(select(answers))]


async def change(tx: Writing) -> str:
    await tx.insert(chores, {"name": "changed", "begun_at": 1})
    return "result"


async def claim(_: Writing) -> None:
    """Nothing to look for."""


async def keep(tx: Writing, answer: bytes) -> None:
    await tx.insert(answers, {"hash": b"h", "caller": "c", "answer": answer, "created_at": 1})


async def test_change_and_answer_commit_together(storage: Storage) -> None:
    unit: Kept[bytes] = Kept(claim, keep)
    with current(unit):
        assert await storage.write(change) == "result"
        assert await names(storage) == {"changed"}
    assert (await names(storage), await kept(storage)) == (set(), [])
    await unit.finish(b"the answer")
    assert (await names(storage), await kept(storage)) == ({"changed"}, [b"the answer"])


async def test_a_change_whose_answer_fails_has_not_happened(storage: Storage) -> None:
    unit: Kept[bytes] = Kept(claim, keep)
    with current(unit):
        await storage.write(change)
    await unit.abandon()
    assert (await names(storage), await kept(storage)) == (set(), [])
    await storage.write(change)
    assert await names(storage) == {"changed"}


async def test_a_change_whose_answer_can_not_be_kept_has_not_happened(storage: Storage) -> None:
    async def fail(tx: Writing, answer: bytes) -> None:
        await keep(tx, answer)
        raise RuntimeError("the disk is full")

    unit: Kept[bytes] = Kept(claim, fail)
    with current(unit):
        await storage.write(change)
    with pytest.raises(RuntimeError):
        await unit.finish(b"the answer")
    assert (await names(storage), await kept(storage)) == (set(), [])


async def test_a_refused_claim_is_raised_where_the_use_case_writes(storage: Storage) -> None:
    async def refuse(_: Writing) -> None:
        raise LookupError("used")

    unit: Kept[bytes] = Kept(refuse, keep)
    with current(unit), pytest.raises(LookupError):
        await storage.write(change)
    await unit.abandon()
    assert await names(storage) == set()


async def test_what_is_written_after_the_change_is_of_the_same_transaction(storage: Storage) -> None:
    async def more(tx: Writing) -> None:
        await tx.insert(chores, {"name": "more", "begun_at": 1})

    unit: Kept[bytes] = Kept(claim, keep)
    with current(unit):
        await storage.write(change)
        await storage.write(more)
    assert await names(storage) == set()
    await unit.finish(b"")
    assert await names(storage) == {"changed", "more"}


async def test_what_nothing_was_written_for_is_not_kept(storage: Storage) -> None:
    unit: Kept[bytes] = Kept(claim, keep)
    with current(unit):
        assert await names(storage) == set()
    await unit.finish(b"nothing")
    assert await kept(storage) == []


async def test_around_a_change_its_transaction_is_read(storage: Storage) -> None:
    seen: list[Any] = []

    async def around(tx: Writing, inner: Any) -> Any:
        await tx.insert(chores, {"name": "before", "begun_at": 1})
        seen.append(await names(storage))
        return await inner(tx)

    with current(Unit(around)):
        await storage.write(change)
        seen.append(await names(storage))
    assert seen == [{"before"}, {"before", "changed"}]


async def test_what_goes_on_after_the_request_is_no_part_of_it(storage: Storage) -> None:
    """A task that was begun within it, and writes later."""
    go_on = asyncio.Event()

    async def later() -> None:
        await go_on.wait()
        await storage.write(change)

    unit: Kept[bytes] = Kept(claim, keep)
    with current(unit):
        task = asyncio.create_task(later())
        await storage.write(lambda tx: tx.rows(select(chores)))
    await unit.finish(b"the answer")
    go_on.set()
    await task
    assert (await names(storage), await kept(storage)) == ({"changed"}, [b"the answer"])


async def test_only_the_first_change_of_a_request_is_looked_at(storage: Storage) -> None:
    ran: list[str] = []

    async def around(tx: Writing, inner: Any) -> Any:
        ran.append("around")
        return await inner(tx)

    with current(Unit(around)):
        await storage.write(change)
        await storage.write(lambda tx: tx.rows(select(chores)))
    assert ran == ["around"]


async def test_what_stands_apart_stays(storage: Storage) -> None:
    unit: Kept[bytes] = Kept(claim, keep)
    with current(unit):
        with current(None):
            await storage.write(change)
        assert await names(storage) == {"changed"}
    await unit.abandon()
    assert await names(storage) == {"changed"}


async def test_a_unit_is_of_one_request_only(storage: Storage) -> None:
    """Another request that writes meanwhile waits for the transaction, and is no part of it."""

    async def other() -> None:
        async def insert(tx: Writing) -> None:
            await tx.insert(chores, {"name": "other", "begun_at": 1})

        await storage.write(insert)

    waiting = asyncio.create_task(other())
    unit: Kept[bytes] = Kept(claim, keep)
    with current(unit):
        await storage.write(change)
    await unit.abandon()
    await waiting
    assert await names(storage) == {"other"}
